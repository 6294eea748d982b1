// Committer: a member of a group of its own. It joins, makes a plan, commits offsets that only
// grow, and looks what is committed, over lost connections and restarts.
//
// Promises (commits_stay): what was acknowledged is told, or something newer; a plan that was given
// out is the plan of its generation for ever; generations never go back.
#pragma once

#include <set>

#include "client.h"

namespace tailrace::sim {

class Committer final : public Client {
 public:
  Committer(World& world, std::uint32_t id, Prng prng, Pace pace = Pace::quick);

  bool settled() const override { return done_; }
  std::string waiting_for() const override;

 private:
  enum class Step : std::uint8_t { find, join, sync, commit, look, beat };

  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override;

  Step choose();
  void ask_step(Step step);
  bool ask_join();
  bool ask_sync();
  bool ask_commit();
  bool ask_look();
  bool ask_beat();
  std::int16_t on_found(const Asked& asked, Bytes frame);
  std::int16_t on_joined(const Asked& asked, Bytes frame);
  std::int16_t on_synced(const Asked& asked, Bytes frame);
  std::int16_t on_committed(const Asked& asked, Bytes frame);
  std::int16_t on_looked(const Asked& asked, Bytes frame);
  std::int16_t on_beat(const Asked& asked, Bytes frame);
  void check_offset(std::int64_t offset, std::string_view metadata);
  void on_error(std::int16_t error);

  std::string group_;
  bool is_member_;              // else it commits without joining
  Duration pause_max_;
  std::int32_t session_ms_;
  Step step_ = Step::find;
  bool found_ = false;
  bool done_ = false;
  std::string member_id_;
  std::int32_t generation_ = -1;
  bool synced_ = false;
  std::int32_t generation_seen_ = 0;  // the newest with a plan that was given out
  std::int64_t sent_ = -1;            // the newest offset that was ever sent
  std::int64_t acked_ = -1;
  std::set<std::int64_t> lost_;       // sent, and never answered: may come at any time
};

}  // namespace tailrace::sim
