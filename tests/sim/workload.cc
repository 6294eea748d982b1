#include "workload.h"

#include "admin.h"
#include "committed_reader.h"
#include "committer.h"
#include "sharer.h"
#include "consumer.h"
#include "final_reader.h"
#include "intruder.h"
#include "producer.h"
#include "transactor.h"

namespace tailrace::sim {
namespace {

ProducerSettings draw_producer(Prng& prng) {
  ProducerSettings settings;
  settings.idempotent = prng.chance(2, 3);
  constexpr std::array<std::int16_t, 4> acks = {-1, -1, 1, 0};
  settings.acks = settings.idempotent ? std::int16_t{-1} : acks[prng.below(acks.size())];
  settings.requests_in_flight_max = static_cast<std::uint32_t>(prng.between(1, 5));
  settings.batches_max = static_cast<std::uint32_t>(prng.between(5, 60));
  settings.records_max = static_cast<std::uint32_t>(prng.between(1, 12));
  settings.value_bytes_max = static_cast<std::uint32_t>(
      prng.chance(1, 5) ? prng.between(500, 900) : prng.between(10, 300));
  settings.pause_max = microseconds(static_cast<std::int64_t>(prng.between(50, 4000)));
  return settings;
}

ConsumerSettings draw_consumer(Prng& prng) {
  ConsumerSettings settings;
  settings.sessions = prng.chance(1, 2);
  settings.max_wait_ms = static_cast<std::int32_t>(prng.between(0, 100));
  settings.min_bytes = static_cast<std::int32_t>(prng.chance(1, 2) ? 1 : prng.between(0, 4000));
  settings.max_bytes = static_cast<std::int32_t>(
      prng.chance(1, 3) ? prng.between(1, 4000) : prng.between(10'000, 500'000));
  settings.partition_max_bytes = static_cast<std::int32_t>(
      prng.chance(1, 3) ? prng.between(1, 2000) : prng.between(5'000, 100'000));
  settings.pause_max = microseconds(static_cast<std::int64_t>(prng.between(10, 10'000)));
  return settings;
}

// In a life the pauses are those of applications, and some are longer than a time-out.
void draw_life(Prng& prng, TransactorSettings& settings) {
  settings.timeout_ms = static_cast<std::int32_t>(prng.between(1'000, 60'000));
  settings.transactions_max = UINT32_MAX;
  settings.pause_max = milliseconds(static_cast<std::int64_t>(prng.between(50, 3'000)));
}

TransactorSettings draw_transactor(Prng& prng, std::uint32_t owner, Pace pace) {
  TransactorSettings settings;
  settings.owner = owner;
  settings.is_newer = prng.chance(1, 2);
  settings.timeout_ms = static_cast<std::int32_t>(
      prng.chance(1, 2) ? prng.between(20, 200) : prng.between(500, 5000));
  settings.transactions_max = static_cast<std::uint32_t>(prng.between(2, 30));
  settings.requests_in_flight_max = static_cast<std::uint32_t>(prng.between(1, 4));
  settings.pause_max = microseconds(static_cast<std::int64_t>(prng.between(10, 4000)));
  settings.compacts = prng.chance(1, 2);
  if (pace == Pace::life) draw_life(prng, settings);
  return settings;
}

AdminSettings draw_admin(Prng& prng) {
  AdminSettings settings;
  settings.operations_max = static_cast<std::uint32_t>(prng.between(1, 14));
  settings.topics_max = static_cast<std::uint32_t>(prng.between(1, 4));
  settings.partitions_max = static_cast<std::int32_t>(prng.between(1, 5));
  settings.small_retention = prng.chance(1, 2);
  settings.pause_max = milliseconds(static_cast<std::int64_t>(prng.between(1, 30)));
  return settings;
}

}  // namespace

Workload::Workload(World& world, std::uint64_t seed, Pace pace)
    : world_(world), prng_(seed, "workload") {
  const bool is_life = pace == Pace::life;
  clients_.push_back(std::make_unique<Admin>(world, Prng(prng_.next()), draw_admin(prng_)));
  const std::uint64_t producers = is_life ? 1 : prng_.between(1, 4);
  for (std::uint32_t i = 0; i < producers; ++i) {
    clients_.push_back(
        std::make_unique<Producer>(world, i, Prng(prng_.next()), draw_producer(prng_)));
  }
  const std::uint64_t committers = is_life ? prng_.between(1, 4) : prng_.between(0, 2);
  for (std::uint32_t i = 0; i < committers; ++i) {
    clients_.push_back(std::make_unique<Committer>(world, i, Prng(prng_.next()), pace));
  }
  add_ledger(pace);
  const std::uint64_t consumers = is_life ? 0 : prng_.between(0, 3);
  for (std::uint32_t i = 0; i < consumers; ++i) {
    clients_.push_back(
        std::make_unique<Consumer>(world, i, Prng(prng_.next()), draw_consumer(prng_)));
  }
  const std::uint64_t sharers = prng_.between(0, 3);
  for (std::uint32_t i = 0; i < sharers; ++i) {
    clients_.push_back(std::make_unique<Sharer>(world, i, Prng(prng_.next())));
  }
  if (prng_.chance(1, 2)) {
    clients_.push_back(std::make_unique<Intruder>(world, Prng(prng_.next()), pace));
  }
}

// Now and then two producers have the same transactional id, and fence each other.
void Workload::add_ledger(Pace pace) {
  const bool is_there = pace == Pace::life || prng_.chance(1, 2);
  owners_ = is_there ? static_cast<std::uint32_t>(prng_.between(1, 2)) : 0;
  std::uint32_t made = 0;
  for (std::uint32_t owner = 0; owner < owners_; ++owner) {
    const std::uint64_t rivals = prng_.chance(1, 4) ? 2 : 1;
    for (std::uint64_t i = 0; i < rivals; ++i) {
      clients_.push_back(std::make_unique<Transactor>(world_, made++, Prng(prng_.next()),
                                                      draw_transactor(prng_, owner, pace)));
    }
  }
  if (owners_ == 0 || prng_.chance(1, 3)) return;
  clients_.push_back(
      std::make_unique<CommittedReader>(world_, Prng(prng_.next()), owners_, false));
}

void Workload::add_final_readers() {
  if (owners_ > 0) {
    clients_.push_back(
        std::make_unique<CommittedReader>(world_, Prng(prng_.next()), owners_, true));
  }
  clients_.push_back(std::make_unique<FinalReader>(world_, Prng(prng_.next())));
}

bool Workload::settled() const {
  for (const auto& client : clients_) {
    if (!client->settled()) return false;
  }
  return true;
}

std::string Workload::waiting_for() const {
  for (const auto& client : clients_) {
    if (!client->settled()) return client->name() + ": " + client->waiting_for();
  }
  return "nothing";
}

}  // namespace tailrace::sim
