// Sharer: a member of a group of the consumer protocol (KIP-848) that it shares with the others of
// its kind. It joins, heartbeats, gives up what it is told to, commits for what it owns, leaves and
// comes again, over lost connections and restarts.
//
// Promise (one_owner): checkers/ownership.h.
#pragma once

#include <vector>

#include "client.h"

namespace tailrace::sim {

class Sharer final : public Client {
 public:
  Sharer(World& world, std::uint32_t id, Prng prng);

  bool settled() const override { return done_; }
  std::string waiting_for() const override;

 private:
  enum class Step : std::uint8_t { find, beat, leave, commit };

  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override { wait(milliseconds(1)); }

  Step choose();
  bool ask_beat(std::int32_t epoch);
  bool ask_commit();
  std::int16_t on_found(const Asked& asked, Bytes frame);
  std::int16_t on_beat(const Asked& asked, Bytes frame);
  std::int16_t on_committed(const Asked& asked, Bytes frame);
  void on_error(std::int16_t error);
  void forget();
  void tell_checker();

  std::string group_ = "shared";
  std::string member_id_;
  Step step_ = Step::find;
  bool found_ = false;
  bool done_ = false;
  bool joined_ = false;
  std::int32_t epoch_ = 0;
  std::int32_t life_ = 0;
  Uuid topic_;
  std::vector<std::int32_t> owned_;
  Instant sent_at_;              // the heartbeat that is on its way
  Instant owns_until_;
  std::int64_t offset_ = 0;
};

}  // namespace tailrace::sim
