// CommittedReader: reads the ledger at READ_COMMITTED as clients do: below the last stable offset,
// leaving out what the list of aborted transactions names. One follows it during a run; another
// one reads it from the front when all is over, and asks for the offsets of the groups.
#pragma once

#include <array>
#include <map>
#include <set>

#include "client.h"
#include "kafka/gen/fetch.h"
#include "transactor.h"

namespace tailrace::sim {

class CommittedReader final : public Client {
 public:
  // `owners`: how many groups there are. `at_last`: it ends when everything is read.
  CommittedReader(World& world, Prng prng, std::uint32_t owners, bool at_last);

  bool settled() const override { return !at_last_ || step_ == Step::done; }
  std::string waiting_for() const override;

 private:
  // fetch: the partition's records, until it ends at `end_`; then the next. With `at_last`, the
  // end comes first, and must be stable soon.
  enum class Step : std::uint8_t { end, fetch, find, offset, done };
  using Data = kafka::FetchResponse::FetchableTopicResponse::PartitionData;
  struct Aborting {
    std::int64_t first_offset;
    std::int64_t producer_id;
  };

  void act() override;
  void on_response(const Asked& asked, Bytes frame) override;
  void on_disconnect() override { wait(milliseconds(2)); }

  bool ask_end();
  bool ask_fetch();
  bool ask_offset();
  std::int16_t on_end(const Asked& asked, Bytes frame);
  std::int16_t on_fetched(const Asked& asked, Bytes frame);
  std::int16_t on_found(const Asked& asked, Bytes frame);
  std::int16_t on_offset(const Asked& asked, Bytes frame);
  void take(const Data& data);
  void next_partition();
  void check_stable(std::int64_t stable);

  std::uint32_t owners_;
  bool at_last_;
  Step step_;
  std::int32_t partition_ = 0;
  std::array<std::int64_t, ledger_partitions> positions_{};
  std::int64_t end_ = -1;
  std::uint32_t group_ = 0;
  bool found_ = false;
  Instant stable_by_ = never();  // the end of the log by then
};

}  // namespace tailrace::sim
