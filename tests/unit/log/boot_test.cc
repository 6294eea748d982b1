#include "log/boot.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

TEST(Boot, RefusesToFormatWhatWasInUse) {
  LogNode node;
  EXPECT_FALSE(node.boot(1, false));
  EXPECT_NE(node.why.find("wal/manifest is missing"), std::string::npos) << node.why;
}

TEST(Boot, AnotherNumberOfCoresKeepsEverything) {
  LogNode node;
  ASSERT_TRUE(node.boot(3));
  BatchMaker maker;
  std::map<int, std::vector<std::byte>> before;
  for (int p = 0; p < 5; ++p) {
    for (int i = 0; i < 20 * (p + 1); ++i) {
      const std::string text = "p" + std::to_string(p) + "-" + std::to_string(i);
      node.append_now(partition_of(1, p), maker.make(text));
    }
  }
  node.settle();
  for (int p = 0; p < 5; ++p) before[p] = node.read_all(partition_of(1, p), 0);
  Prng prng(1);
  for (const int cores : {1, 4, 2, 2, 3}) {
    node.crash(prng);
    ASSERT_TRUE(node.boot(static_cast<std::uint16_t>(cores), false)) << node.why;
    node.settle();
    for (int p = 0; p < 5; ++p) {
      EXPECT_EQ(node.read_all(partition_of(1, p), 0), before[p]) << cores << " cores, " << p;
    }
  }
}

// What the random life below believes about one partition.
struct Model {
  std::vector<std::vector<std::byte>> batches;  // as staged, by offset (one record each)
  std::int64_t acked_end = 0;                   // offsets before it were seen durable
  std::int64_t log_start = 0;
};

class Life {
 public:
  explicit Life(std::uint64_t seed) : prng_(seed, "life"), order_(seed, "order") {
    node_.config.segment_bytes = 24'000;
    node_.reorder = &order_;
  }

  void run(int rounds) {
    for (int round = 0; round < rounds && !testing::Test::HasFatalFailure(); ++round) {
      ASSERT_TRUE(node_.boot(static_cast<std::uint16_t>(prng_.between(1, 3)), round == 0))
          << node_.why;
      check_after_boot();
      const int steps = static_cast<int>(prng_.between(10, 250));
      for (int i = 0; i < steps; ++i) act();
      see_durable();
      node_.crash(prng_);
    }
  }

 private:
  PartitionKey key(int p) const { return partition_of(1, p); }

  void act() {
    const int p = static_cast<int>(prng_.below(4));
    if (prng_.chance(3, 4)) {
      append(p);
    } else if (prng_.chance(1, 10)) {
      move_log_start(p);
    } else {
      node_.now.instant = node_.now.instant + milliseconds(5);
      node_.turn(prng_.below(6));
      see_durable();
    }
  }

  void append(int p) {
    Model& model = models_[p];
    const std::string text = std::to_string(p) + ":" + std::to_string(count_++) +
                             std::string(prng_.below(prng_.chance(1, 8) ? 9000 : 300), 'z');
    const Bytes batch = maker_.make(text);
    const Result<Appended> appended = node_.append(key(p), batch);
    if (!appended) {
      ASSERT_EQ(appended.error().code, Errc::full);
      return;
    }
    ASSERT_EQ(appended->base_offset, static_cast<std::int64_t>(model.batches.size()));
    std::vector<std::byte> stored(batch.begin(), batch.end());
    record::set_base_offset(stored, appended->base_offset);
    record::set_leader_epoch(stored, 3);
    model.batches.push_back(stored);
  }

  void move_log_start(int p) {
    Model& model = models_[p];
    PartitionLog& log = node_.partition(key(p));
    if (log.durable_end() == log.log_start()) return;
    const std::int64_t to = log.log_start() + static_cast<std::int64_t>(prng_.below(
        static_cast<std::uint64_t>(log.durable_end() - log.log_start())));
    if (node_.core_of(key(p)).advance_log_start(log, to, node_.now)) model.log_start = to;
  }

  void see_durable() {
    for (auto& [p, model] : models_) {
      const std::int64_t end = node_.partition(key(p)).durable_end();
      ASSERT_GE(end, model.acked_end);
      model.acked_end = end;
    }
  }

  void check_after_boot() {
    node_.settle();
    for (auto& [p, model] : models_) {
      PartitionLog& log = node_.partition(key(p));
      ASSERT_GE(log.durable_end(), model.acked_end) << "partition " << p << " lost acked records";
      ASSERT_LE(log.durable_end(), static_cast<std::int64_t>(model.batches.size()));
      ASSERT_LE(log.log_start(), model.log_start);
      model.log_start = log.log_start();
      model.batches.resize(static_cast<std::size_t>(log.durable_end()));
      model.acked_end = log.durable_end();
      std::vector<std::byte> expected;
      for (std::int64_t i = log.log_start(); i < log.durable_end(); ++i) {
        const auto& batch = model.batches[static_cast<std::size_t>(i)];
        expected.insert(expected.end(), batch.begin(), batch.end());
      }
      ASSERT_EQ(node_.read_all(key(p), log.log_start()), expected) << "partition " << p;
    }
  }

  LogNode node_;
  Prng prng_;
  Prng order_;
  BatchMaker maker_;
  std::map<int, Model> models_;
  int count_ = 0;
};

TEST(Boot, LosesNothingAcknowledgedInManyCrashes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Life life(seed);
    life.run(6);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Boot, AFrameLeftBehindALostOneDoesNotFollowItsRepetition) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  const PartitionKey key = partition_of(1, 0);
  BatchMaker maker;
  ASSERT_TRUE(node.append(key, maker.make("first")));
  node.turn(0);
  ASSERT_TRUE(node.append(key, maker.make("second")));
  node.turn(0);
  // The first frame is lost, the second is not.
  node.disk.crash_keeping([](const std::string& name, std::uint64_t file_pos) {
    return name.ends_with(".wal") && file_pos >= 2 * disk_block_bytes;
  });
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  EXPECT_EQ(node.partition(key).durable_end(), 0);
  // The client says the same again, byte for byte.
  node.append_now(key, maker.make("first"));
  node.settle();
  EXPECT_EQ(node.partition(key).durable_end(), 1);
  Prng prng(1);
  node.crash(prng);
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  EXPECT_EQ(node.partition(key).durable_end(), 1);
}

}  // namespace
}  // namespace tailrace::log
