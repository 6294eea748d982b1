// Transactor: a producer with a transactional id. It begins transactions, writes to partitions of
// the topic "ledger", commits an offset of its group now and then, and commits, aborts or walks
// away, over lost connections and restarts. Another one with the same id fences it.
//
//   find ─▶ make topic ─▶ init ─▶ (begin) ─▶ add ─▶ produce ─▶ offset ─▶ end ─▶ (begin)
//                          ▲____________ fenced, too late, or it walks away _________│
//
// Both dialects: the older adds partitions with requests of its own, the newer (KIP-890) lets
// Produce and TxnOffsetCommit do it and gets a new epoch with every end.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "client.h"

namespace tailrace::sim {

inline constexpr std::string_view ledger_topic = "ledger";
inline constexpr std::int32_t ledger_partitions = 3;

// The transactional id of an owner, and its group.
std::string ledger_name(std::uint32_t owner);

struct TransactorSettings {
  std::uint32_t owner = 0;
  bool is_newer = true;               // KIP-890's dialect
  std::int32_t timeout_ms = 1000;
  std::uint32_t transactions_max = 20;
  std::uint32_t requests_in_flight_max = 2;
  Duration pause_max = milliseconds(2);
  bool compacts = false;        // the ledger, if it is this one that makes it
};

class Transactor final : public Client {
 public:
  Transactor(World& world, std::uint32_t id, Prng prng, const TransactorSettings& settings);

  bool settled() const override { return done_; }
  std::string waiting_for() const override;

 private:
  enum class Step : std::uint8_t {
    find, find_group, make_topic, init, add, produce, add_offset, offset, end, rest,
  };
  enum class Ending : std::uint8_t { commit, abort, walk_away };
  struct Batch {
    std::vector<std::uint32_t> records;
    test::Buffer bytes;
    bool sent = false;
  };

  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override;

  Step choose();
  bool ask_step(Step step);
  void begin();
  void add_batch(std::int32_t partition);
  void forget_transaction();
  void start_over();
  bool has_unsent() const;
  bool has_batches() const;

  bool ask_make_topic();
  bool ask_init();
  bool ask_add();
  bool ask_produce();
  bool ask_add_offset();
  bool ask_offset();
  bool ask_end();
  std::int16_t error_of(const Asked& asked, Bytes frame);
  std::int16_t on_found(const Asked& asked, Bytes frame, bool of_group);
  std::int16_t on_topic(const Asked& asked, Bytes frame);
  std::int16_t on_init(const Asked& asked, Bytes frame);
  std::int16_t on_added(const Asked& asked, Bytes frame);
  std::int16_t on_produced(const Asked& asked, Bytes frame);
  std::int16_t on_offset(const Asked& asked, Bytes frame);
  std::int16_t on_end(const Asked& asked, Bytes frame);
  void on_error(std::int16_t error);

  SentTransaction& transaction() { return world_.transactions.transaction(*transaction_); }

  TransactorSettings settings_;
  Step step_ = Step::find;
  bool done_ = false;
  bool found_ = false;
  bool found_group_ = false;
  bool topic_made_ = false;
  std::uint32_t tries_left_ = 0;      // when all is quiet
  std::uint32_t begun_ = 0;
  std::int64_t producer_id_ = -1;
  std::int16_t epoch_ = -1;
  std::map<std::int32_t, std::int32_t> sequences_;  // the next, by partition

  std::optional<std::uint32_t> transaction_;
  Ending ending_ = Ending::commit;
  std::map<std::int32_t, std::deque<Batch>> lanes_;  // not acknowledged, by partition
  bool added_ = false;
  bool offset_added_ = false;
  bool offset_sent_ = false;
  bool draining_ = false;             // an error came: what is on its way comes back first
};

}  // namespace tailrace::sim
