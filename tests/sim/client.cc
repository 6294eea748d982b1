#include "client.h"

#include "kafka/gen/find_coordinator.h"
#include "links/links.h"
#include "sim_node.h"

namespace tailrace::sim {
namespace {

// A client that gets no answer for so long breaks off and starts anew, as real ones do.
constexpr Duration answer_patience = seconds(10);

}  // namespace

Client::Client(World& world, std::string name, Prng prng)
    : world_(world), name_(std::move(name)), prng_(prng) {}

Client::~Client() = default;

bool Client::alive() const {
  // Over links nobody tells a client that a node is gone.
  if (conn_ == 0 || world_.links != nullptr) return conn_ != 0;
  return node_->listening() && node_->life() == life_;
}

void Client::connect() {
  SimNode& node = *world_.nodes[prng_.below(world_.nodes.size())];
  if (world_.links == nullptr && !node.listening()) return;
  node_ = &node;
  life_ = node.life();
  const auto core = static_cast<std::uint16_t>(prng_.below(node.core_count()));
  if (world_.links == nullptr) {
    SimTransport& transport = node.transport(core);
    network_ = &transport;
    conn_ = transport.client_connect(0);
  } else {
    LinkMachine& machine = world_.links->machine(prng_.next());
    network_ = &machine;
    conn_ = machine.connect(world_.links->address(core));
  }
  inbox_.clear();
  asked_.clear();
}

void Client::disconnect() {
  if (conn_ == 0) return;
  if (alive()) network_->client_close(conn_);
  world_.trace.say(world_.clock.instant(), "{} disconnects", name_);
  conn_ = 0;
  asked_.clear();
  inbox_.clear();
  on_disconnect();
}

bool Client::send_bytes(Bytes bytes) {
  if (!alive() || !network_->client_send(conn_, bytes)) return false;
  if (asked_.empty()) asked_since_ = world_.clock.instant();
  return true;
}

bool Client::ask_body(std::int16_t api_key, std::int16_t version, Bytes body) {
  const std::int32_t id = next_correlation_id_++;
  const kafka::RequestHeader header{api_key, version, id, "sim"};
  kafka::Writer size = kafka::Writer::counter();
  kafka::write_request_header(size, header);
  test::Buffer frame(4 + size.size() + body.size());
  kafka::Writer out(frame);
  out.integer(static_cast<std::int32_t>(frame.size() - 4));
  kafka::write_request_header(out, header);
  out.raw(body);
  if (!send_bytes(frame)) return false;
  asked_.push_back({api_key, version, id, 0});
  return true;
}

bool Client::ask_coordinator(CoordinatorOf kind, std::string_view key) {
  kafka::FindCoordinatorRequest request;
  request.key = key;
  request.key_type = static_cast<std::int8_t>(kind);
  request.coordinator_keys = {&key, 1};
  const std::int16_t least = kind == CoordinatorOf::group ? 0 : 1;
  return ask(request, draw_version<kafka::FindCoordinatorRequest>(least), 0);
}

std::int16_t Client::on_coordinator(const Asked& asked, Bytes frame) {
  constexpr std::int16_t first_with_many = 4;
  kafka::FindCoordinatorResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  return asked.version < first_with_many ? response.error_code
                                         : response.coordinators.front().error_code;
}

void Client::step() {
  if (conn_ != 0 && !alive()) disconnect();
  if (conn_ != 0) receive();
  if (world_.clock.instant() < wake_at_) return;
  if (conn_ == 0) connect();
  if (conn_ == 0) return wait(milliseconds(static_cast<std::int64_t>(prng_.between(1, 10))));
  act();
}

void Client::receive() {
  const bool open = network_->client_receive(conn_, inbox_);
  std::size_t at = 0;
  while (conn_ != 0 && inbox_.size() - at >= 4) {
    const auto size = static_cast<std::size_t>(load_be<std::int32_t>(inbox_.data() + at));
    if (size < 4 || size > (std::size_t{16} << 20)) {
      world_.verdicts.broken("responses_in_order", "{}: a response of {} bytes", name_, size);
      break;
    }
    if (inbox_.size() - at < 4 + size) break;
    const std::vector<std::byte> frame(inbox_.begin() + static_cast<std::ptrdiff_t>(at + 4),
                                       inbox_.begin() + static_cast<std::ptrdiff_t>(at + 4 + size));
    at += 4 + size;
    if (world_.plant == Plant::swap_answers && asked_.size() > 1) std::swap(asked_[0], asked_[1]);
    if (asked_.empty() || load_be<std::int32_t>(frame.data()) != asked_.front().correlation_id) {
      world_.verdicts.broken("responses_in_order", "{}: an answer to {} came, {} are open", name_,
                             load_be<std::int32_t>(frame.data()), asked_.size());
      disconnect();
      return;
    }
    const Asked asked = asked_.front();
    asked_.pop_front();
    asked_since_ = world_.clock.instant();
    on_response(asked, frame);
  }
  if (conn_ == 0) return;
  inbox_.erase(inbox_.begin(), inbox_.begin() + static_cast<std::ptrdiff_t>(at));
  const bool impatient =
      !asked_.empty() && asked_since_ + answer_patience <= world_.clock.instant();
  if (!open || impatient) {
    disconnect();
    if (wake_at_ == never()) wake();
  }
}

void Client::bad_response(const Asked& asked) {
  world_.verdicts.broken("responses_in_order", "{}: response to API {} version {} is malformed",
                         name_, asked.api_key, asked.version);
  disconnect();
}

Instant Client::next_deadline() {
  if (conn_ == 0) return wake_at_;
  if (!alive()) return world_.clock.instant();
  Instant deadline = std::min(wake_at_, network_->client_deadline(conn_));
  if (!asked_.empty()) deadline = std::min(deadline, asked_since_ + answer_patience);
  return deadline;
}

}  // namespace tailrace::sim
