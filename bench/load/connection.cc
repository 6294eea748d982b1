#include "load/connection.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"

namespace tailrace::load {
namespace {

constexpr std::size_t answer_bytes_max = std::size_t{4} << 20;

}  // namespace

bool Connection::open(const std::string& address, std::string& why) {
  state_ = State::connecting;
  id_ = network_.connect(address, *this);
  if (id_ == 0) state_ = State::closed;
  while (state_ == State::connecting) network_.turn(never());
  if (state_ == State::closed) why = address + ": no connection";
  return state_ == State::open;
}

Connection::~Connection() {
  if (state_ != State::closed) network_.abort(id_);
}

void Connection::ask(const Frame& frame, const Asked& asked) {
  if (free_out_.empty()) {
    free_out_.push_back(out_.size());
    out_.emplace_back();
  }
  waiting_.push_back(free_out_.back());
  free_out_.pop_back();
  Out& out = out_[waiting_.back()];
  out.front.assign(frame.front.begin(), frame.front.end());
  out.records = frame.records;
  out.back.assign(frame.back.begin(), frame.back.end());
  set_correlation(out.front, ++correlation_id_);
  asked_.push_back(asked);
  send_waiting();
}

void Connection::send_waiting() {
  while (!waiting_.empty()) {
    const Out& out = out_[waiting_.front()];
    std::array<Bytes, 3> slices;
    std::size_t count = 0;
    for (const Bytes part : {Bytes(out.front), out.records, Bytes(out.back)}) {
      if (!part.empty()) slices[count++] = part;
    }
    if (!network_.send(id_, std::span(slices).first(count), waiting_.front())) return;
    waiting_.pop_front();
  }
}

void Connection::on_event(const StreamEvent& event) {
  switch (event.kind) {
    case StreamEvent::Kind::connected: state_ = State::open; return;
    case StreamEvent::Kind::data: return add(event.bytes);
    case StreamEvent::Kind::sent:
      free_out_.push_back(event.token);
      return send_waiting();
    case StreamEvent::Kind::closed: state_ = State::closed; return;
    case StreamEvent::Kind::accepted: break;
  }
  TR_ASSERT(false);   // It does not listen.
}

void Connection::add(Bytes bytes) {
  if (in_end_ + bytes.size() > in_.size()) {
    if (in_start_ < in_end_) {
      std::memmove(in_.data(), in_.data() + in_start_, in_end_ - in_start_);
    }
    in_end_ -= in_start_;
    in_start_ = 0;
    // Seldom, for it was half empty before.
    if (2 * (in_end_ + bytes.size()) > in_.size()) in_.resize(4 * (in_end_ + bytes.size()));
  }
  std::memcpy(in_.data() + in_end_, bytes.data(), bytes.size());
  in_end_ += bytes.size();
}

std::optional<Connection::Answer> Connection::take() {
  constexpr std::size_t length_bytes = 4;
  const Bytes there = Bytes(in_).subspan(in_start_, in_end_ - in_start_);
  if (there.size() < length_bytes) return std::nullopt;
  const auto length = static_cast<std::size_t>(load_be<std::int32_t>(there.data()));
  TR_ASSERT(length < answer_bytes_max);
  if (there.size() < length_bytes + length) return std::nullopt;
  in_start_ += length_bytes + length;
  TR_ASSERT(!asked_.empty());
  const Answer answer{there.subspan(length_bytes, length), asked_.front()};
  asked_.pop_front();
  // The front of the memory again, where the caches have it.
  if (in_start_ == in_end_) in_start_ = in_end_ = 0;
  return answer;
}

Bytes Connection::call(const Frame& frame) {
  ask(frame, {});
  while (!is_broken()) {
    if (const auto answer = take()) return answer->frame;
    network_.turn(never());
  }
  return {};
}

}  // namespace tailrace::load
