#include "control/client_quotas.h"

namespace tailrace::control {
namespace {

bus::QuotaPart part_of(const QuotaEntity& entity, std::string_view type, std::string& name) {
  const auto found = entity.find(type);
  if (found == entity.end()) return bus::QuotaPart::none;
  if (!found->second) return bus::QuotaPart::any;
  name = *found->second;
  return bus::QuotaPart::named;
}

}  // namespace

std::optional<bus::QuotaKind> quota_kind(std::string_view key) {
  using bus::QuotaKind;
  if (key == "producer_byte_rate") return QuotaKind::produce;
  if (key == "consumer_byte_rate") return QuotaKind::fetch;
  if (key == "request_percentage") return QuotaKind::request;
  if (key == "controller_mutation_rate") return QuotaKind::mutation;
  return std::nullopt;
}

bus::ClientQuotas client_quotas(const QuotaMap& quotas) {
  bus::ClientQuotas made;
  for (const auto& [entity, values] : quotas) {
    if (entity.contains(quota_ip)) continue;
    bus::ClientQuota quota;
    quota.user_part = part_of(entity, quota_user, quota.user);
    quota.client_part = part_of(entity, quota_client_id, quota.client);
    for (const auto& [key, value] : values) {
      const auto kind = quota_kind(key);
      if (!kind) continue;
      quota.limits[static_cast<std::size_t>(*kind)] = value;
      made.has_kind[static_cast<std::size_t>(*kind)] = true;
    }
    made.all.push_back(std::move(quota));
  }
  std::sort(made.all.begin(), made.all.end(),
            [](const auto& a, const auto& b) { return a.key() < b.key(); });
  return made;
}

}  // namespace tailrace::control
