#include "control/mutation_quota.h"

#include "control/client_quotas.h"
#include "control/request_context.h"

namespace tailrace::control {
namespace {

constexpr double burst_s = 11;
constexpr std::size_t buckets_max = 10'000;

}  // namespace

TokenBucket* MutationQuota::find(std::string_view client_id) {
  if (revision_ != state_.quota_revision()) {
    revision_ = state_.quota_revision();
    quotas_ = client_quotas(state_.quotas());
  }
  const bus::QuotaMatch match =
      quotas_.match(bus::QuotaKind::mutation, bus::anonymous_user, client_id);
  if (!match.found()) return nullptr;
  if (!buckets_.contains(match.account) && buckets_.size() >= buckets_max) {
    // Those without a debt are as good as new ones.
    std::erase_if(buckets_, [this](const auto& entry) {
      TokenBucket bucket = entry.second;
      bucket.refill(bucket.rate, now_);
      return bucket.tokens >= bucket.rate * bucket.burst_s;
    });
    if (buckets_.size() >= buckets_max) buckets_.erase(buckets_.begin());
  }
  const auto [found, is_new] =
      buckets_.try_emplace(match.account, TokenBucket::full(match.limit, burst_s, now_));
  if (!is_new) found->second.refill(match.limit, now_);
  return &found->second;
}

std::uint32_t MutationQuota::wait_ms(std::string_view client_id) {
  const TokenBucket* bucket = find(client_id);
  return bucket == nullptr ? 0 : bucket->wait_ms();
}

void MutationQuota::take(std::string_view client_id, std::size_t partitions) {
  if (TokenBucket* bucket = find(client_id)) bucket->take(static_cast<double>(partitions));
}

// A request that the node makes for a client (auto-create) is not counted.
Refusal RequestContext::count_mutations(std::size_t partitions, std::int16_t strict_from) {
  if (mutations == nullptr || request.on_behalf) return {};
  const std::uint32_t wait_ms = mutations->wait_ms(request.client_id);
  outcome.throttle_ms = std::max(outcome.throttle_ms, wait_ms);
  if (wait_ms > 0 && request.api_version >= strict_from) {
    return {kafka::ErrorCode::throttling_quota_exceeded, "The throttling quota has been exceeded."};
  }
  mutations->take(request.client_id, partitions);
  const bool is_strict = request.api_version >= strict_from;
  if (!is_strict) {
    outcome.throttle_ms = std::max(outcome.throttle_ms, mutations->wait_ms(request.client_id));
  }
  return {};
}

}  // namespace tailrace::control
