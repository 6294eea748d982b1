// Client quotas as they are set, and as clients are measured by them.
#pragma once

#include <optional>
#include <string_view>

#include "bus/client_quotas.h"
#include "control/cluster_state.h"

namespace tailrace::control {

inline constexpr std::string_view quota_user = "user";
inline constexpr std::string_view quota_client_id = "client-id";
inline constexpr std::string_view quota_ip = "ip";

// Null: no quota of users and clients has this key.
std::optional<bus::QuotaKind> quota_kind(std::string_view key);

// What an image carries. Quotas of addresses are not in it: nothing is measured by them yet.
bus::ClientQuotas client_quotas(const QuotaMap& quotas);

}  // namespace tailrace::control
