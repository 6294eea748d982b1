#include "runtime/capture_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "io/capture/pcapng.h"
#include "tailrace/version.h"

namespace tailrace::runtime {
namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;

struct Range {
  std::int64_t least;
  std::int64_t most;
};

bool read_number(const AdminQuery& query, const char* name, Range range, std::int64_t& number,
                 std::string& why) {
  const char* const word = query(name);
  if (word == nullptr) return true;
  const std::string_view text(word);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() &&
      range.least <= number && number <= range.most) {
    return true;
  }
  why = fmt::format("{}: found \"{}\", allowed: {} to {}\n", name, text, range.least, range.most);
  return false;
}

}  // namespace

bool read_capture_request(const AdminQuery& query, CaptureRequest& request, std::string& why) {
  constexpr Range seconds{1, 7 * 86'400};
  constexpr Range packets{1, std::int64_t{1} << 40};
  constexpr Range snap{snap_bytes_least, snap_bytes_most};
  return read_number(query, "seconds", seconds, request.seconds, why) &&
         read_number(query, "packets", packets, request.packets_max, why) &&
         read_number(query, "snap", snap, request.snap_bytes, why);
}

CaptureStream::CaptureStream(std::vector<CaptureSource> sources, const CaptureRequest& request,
                             io::Clock& clock, std::shared_ptr<const void> place)
    : sources_(std::move(sources)), request_(request), place_(std::move(place)), clock_(clock),
      began_(clock.now()), frame_(static_cast<std::size_t>(request.snap_bytes)) {
  const auto snap_bytes = static_cast<std::uint32_t>(request.snap_bytes);
  io::append_section_header(pending_, fmt::format("tailrace {}", version));
  for (const CaptureSource& source : sources_) {
    io::append_interface(pending_, source.name, snap_bytes);
    rings_.push_back(std::make_unique<io::CaptureRing>(ring_bytes, snap_bytes));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) sources_[i].point->start(*rings_[i]);
}

void CaptureStream::finish() {
  if (!is_listening_) return;
  is_listening_ = false;
  for (const CaptureSource& source : sources_) source.point->stop();
  finished_ = clock_.now();
}

std::size_t CaptureStream::read(std::span<char> to) {
  if (pending_at_ == pending_.size() && !has_ended_) refill(to.size());
  const std::size_t count = std::min(to.size(), pending_.size() - pending_at_);
  std::copy_n(pending_.data() + pending_at_, count, to.data());
  pending_at_ += count;
  return count;
}

void CaptureStream::refill(std::size_t bytes) {
  pending_.clear();
  pending_at_ = 0;
  const bool is_over = request_.seconds > 0 &&
                       began_.instant + seconds(request_.seconds) <= clock_.now().instant;
  if (is_over) finish();
  while (pending_.size() < bytes && append_earliest()) {
    ++packets_;
    if (packets_ == request_.packets_max) {
      finish();
      append_end();
      return;
    }
  }
  if (!is_listening_ && pending_.empty()) append_end();
}

// Of what has come from all cores: those that come later may be older, by one look.
bool CaptureStream::append_earliest() {
  io::CapturedFrame earliest;
  std::size_t from = rings_.size();
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    io::CapturedFrame about;
    if (!rings_[i]->peek(about)) continue;
    if (from == rings_.size() || about.time_ns < earliest.time_ns) {
      earliest = about;
      from = i;
    }
  }
  if (from == rings_.size()) return false;
  rings_[from]->take(earliest, frame_.data());
  io::append_packet(pending_, static_cast<std::uint32_t>(from), earliest,
                    Bytes(frame_).first(earliest.bytes));
  return true;
}

void CaptureStream::append_end() {
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    io::append_statistics(pending_, {.interface = static_cast<std::uint32_t>(i),
                                     .began_ns = began_.wall_ms * ns_per_ms,
                                     .ended_ns = finished_.wall_ms * ns_per_ms,
                                     .received = rings_[i]->offered(),
                                     .dropped = rings_[i]->dropped()});
  }
  has_ended_ = true;
}

}  // namespace tailrace::runtime
