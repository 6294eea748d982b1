// LogSimulation: CoreLog and Boot alone over a simulated file system, driven by random appends,
// reads, deletions, crashes and changes of the number of cores. No broker, no network: a broken
// promise here is the log's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "bus/image.h"
#include "checkers/compaction.h"
#include "faults.h"
#include "log/boot.h"
#include "log_model.h"
#include "simulation.h"
#include "support/kafka_client.h"

namespace tailrace::sim {

class LogSimulation {
 public:
  LogSimulation(std::uint64_t seed, Plant plant, bool verbose);
  RunResult run();

 private:
  struct Core {
    std::unique_ptr<SimDisk> disk;
    std::unique_ptr<log::CoreLog> log;
  };
  struct OpenRead {
    std::uint16_t core = 0;
    log::ReadId id;
    log::PartitionKey key;
    std::int64_t offset = 0;
    std::int64_t offset_end = 0;
    std::int64_t stable_end = 0;
    bool is_told = false;  // what was aborted in it was looked at
    bool fills = false;  // of the final reading: the next one follows
  };
  struct Deletion {
    std::uint16_t core = 0;
    std::uint64_t seq = 0;
    log::PartitionKey key;
    std::int64_t offset = 0;
  };

  enum class Start : std::uint8_t { up, again, never };
  bool boot();
  Start try_start();
  void step_start(log::Boot& boot, SimDisk& disk);
  void adopt();
  static void forget_lost(LogModel& model);
  void end_life(bool power_cut);
  void orderly_stop();
  void turn();
  void turn_core(std::uint16_t index);
  void act();
  void make_partition();
  void drop_partition();
  void append();
  void append_in_transaction(LogModel& model, log::PartitionLog& partition, std::uint16_t core);
  void append_unverified(LogModel& model, log::PartitionLog& partition, std::uint16_t core,
                         Bytes batch);
  test::Buffer make_batch(const LogModel& model, const test::BatchOptions& options);
  void append_again(LogModel& model, log::PartitionLog& partition, std::uint16_t core);
  void compress(test::Buffer& batch);
  void give(LogModel& model, log::PartitionLog& partition, std::uint16_t core,
            const ModelBatch& batch, log::AppendRequest request = {});
  void read();
  void delete_records();
  void configure();
  std::int64_t draw_segment_bytes();
  void draw_compaction(LogModel& model);
  void take_results(std::uint16_t index);
  void check_read(const OpenRead& open, const log::Read& read);
  void look_at(LogModel& model, const log::PartitionLog& partition);
  void read_everything();
  void read_everything(LogModel& model);
  void compact_once_more();
  // What came of a read, with the list of what was aborted in it, as the broker answers it.
  void check_committed(const OpenRead& open, const log::Read& read);
  void spoil(const LogModel& model, std::vector<FoundBatch>& found) const;
  void check_all(const LogModel& model, const log::PartitionLog& partition,
                 std::vector<FoundBatch> found);
  void check_timestamps(const LogModel& model, log::PartitionLog& partition,
                        std::span<const FoundBatch> found);
  bool failed() const;
  LogModel* choose();
  std::uint16_t owner(const log::PartitionKey& key) const {
    return bus::owner_core(key.topic, key.partition, core_count_);
  }
  log::PartitionLog* find(const LogModel& model) {
    return cores_[owner(model.key)].log->find(model.key);
  }
  std::unique_ptr<SimDisk> make_disk(std::string name);

  World world_;
  Prng prng_;
  FaultPlan plan_;
  DiskFaults faults_;
  NodeLimits limits_;
  SimFileSystem files_;
  Prng boot_prng_;
  std::uint16_t core_count_ = 1;
  bool formatted_ = false;
  bool rotted_wal_ = false;
  bool rotted_segment_ = false;
  bool gave_up_ = false;
  std::vector<std::unique_ptr<AlignedBuffer>> memory_;
  std::vector<Core> cores_;
  std::map<log::PartitionKey, LogModel> models_;
  std::vector<OpenRead> reads_;
  std::vector<Deletion> deletions_;
  std::uint64_t reads_failed_ = 0;
  RunResult result_;
};

}  // namespace tailrace::sim
