// Client: one simulated program that speaks Kafka's protocol over one connection at a time. What
// it wants is its subclass's; here are connecting, framing and matching answers to questions.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/prng.h"
#include "kafka/header.h"
#include "client_network.h"
#include "support/kafka_client.h"
#include "world.h"

namespace tailrace::sim {

class Client {
 public:
  Client(World& world, std::string name, Prng prng);
  virtual ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Takes what has arrived and acts on it.
  void step();
  Instant next_deadline();
  // Nothing is open: it could stop here.
  virtual bool settled() const = 0;
  // What it waits for, for the liveness checker.
  virtual std::string waiting_for() const = 0;
  const std::string& name() const { return name_; }

 protected:
  struct Asked {
    std::int16_t api_key = 0;
    std::int16_t version = 0;
    std::int32_t correlation_id = 0;
    std::uint64_t word = 0;
  };
  // Decide what to do now; connected() tells whether something can be asked.
  virtual void act() = 0;
  virtual void on_response(const Asked& asked, Bytes frame) = 0;
  // Everything asked and not answered is lost.
  virtual void on_disconnect() = 0;

  bool connected() const { return conn_ != 0; }
  void disconnect();
  // Tries again after a while.
  void wait(Duration time) { wake_at_ = world_.clock.instant() + time; }
  void sleep() { wake_at_ = never(); }
  void wake() { wake_at_ = world_.clock.instant(); }

  // False when the connection broke. `answered`: an answer will come.
  template <class Request>
  bool ask(const Request& request, std::int16_t version, std::uint64_t word, bool answered = true) {
    const std::int32_t id = next_correlation_id_++;
    const test::Buffer frame = test::build_request(request, version, id, "sim");
    if (!send_bytes(frame)) return false;
    if (answered) asked_.push_back({Request::api_key, version, id, word});
    return true;
  }
  // The same with a body that need not mean anything.
  bool ask_body(std::int16_t api_key, std::int16_t version, Bytes body);
  // What need not be a request at all.
  bool send_bytes(Bytes bytes);
  std::size_t asked_count() const { return asked_.size(); }

  // Valid until the next decode(). Null, after a verdict, when `frame` is not a whole response.
  template <class Response>
  const Response* decode(const Asked& asked, Bytes frame, Response& response) {
    arena_.reset();
    kafka::Reader in(frame);
    (void)kafka::read_response_header(in, asked.api_key, asked.version);
    Result<Response> decoded = Response::decode(in, asked.version, arena_);
    if (!decoded || in.failed() || !in.rest().empty()) {
      bad_response(asked);
      return nullptr;
    }
    response = *decoded;
    return &response;
  }
  // FindCoordinator, of any version that knows the kind of key.
  enum class CoordinatorOf : std::int8_t { group, transactions };
  bool ask_coordinator(CoordinatorOf kind, std::string_view key);
  // The error of the answer; malformed after a verdict.
  std::int16_t on_coordinator(const Asked& asked, Bytes frame);
  static constexpr std::int16_t malformed = INT16_MIN;

  template <class Message>
  std::int16_t draw_version(std::int16_t least = Message::version_min,
                            std::int16_t most = Message::version_max) {
    return static_cast<std::int16_t>(prng_.between(static_cast<std::uint64_t>(least),
                                                   static_cast<std::uint64_t>(most)));
  }

  World& world_;
  std::string name_;
  Prng prng_;

 private:
  bool alive() const;
  void connect();
  void receive();
  void bad_response(const Asked& asked);

  Arena arena_{std::size_t{64} << 10};
  SimNode* node_ = nullptr;
  std::uint64_t life_ = 0;
  ClientNetwork* network_ = nullptr;
  ConnId conn_ = 0;
  std::int32_t next_correlation_id_ = 1;
  std::deque<Asked> asked_;
  std::vector<std::byte> inbox_;
  Instant wake_at_{};
  Instant asked_since_{};
};

}  // namespace tailrace::sim
