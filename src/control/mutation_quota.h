// MutationQuota: how many partitions a client may have made and deleted (KIP-599,
// controller_mutation_rate). Eleven seconds' worth may be used at once, as in Kafka.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "base/token_bucket.h"
#include "bus/client_quotas.h"
#include "control/cluster_state.h"

namespace tailrace::control {

class MutationQuota {
 public:
  // `state` outlives the object.
  explicit MutationQuota(const ClusterState& state) : state_(state) {}

  void set_time(Instant now) { now_ = now; }
  // For how long the client has to wait before it may change anything; 0: not at all.
  std::uint32_t wait_ms(std::string_view client_id);
  void take(std::string_view client_id, std::size_t partitions);

 private:
  // Null: there is no quota.
  TokenBucket* find(std::string_view client_id);

  const ClusterState& state_;
  Instant now_;
  std::uint64_t revision_ = 0;  // of the state's quotas, as they are in quotas_
  bus::ClientQuotas quotas_;
  std::map<std::uint64_t, TokenBucket> buckets_;  // by account
};

}  // namespace tailrace::control
