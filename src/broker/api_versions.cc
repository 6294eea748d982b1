// ApiVersions: what is spoken here. The first request of every client, so its corner cases
// matter most (KIP-511).
#include <iterator>

#include "broker/answer.h"
#include "kafka/feature_levels.h"
#include "kafka/gen/api_versions.h"

namespace tailrace::broker {
namespace {

using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;

constexpr std::int16_t first_with_features = 3;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Letters, digits, dots and dashes; letters or digits at both ends.
bool is_software_name(std::string_view text) {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) {
    return false;
  }
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '-'; });
}

constexpr std::int64_t features_epoch = 1;  // They do not change while a node runs.

ApiVersionsResponse::ApiVersion to_entry(const kafka::ApiInfo& api) {
  return {static_cast<std::int16_t>(api.key), api.version_min, api.version_max};
}

// Clients before version 4 do not bear a supported feature that begins at 0; here none does.
void add_features(Core& core, Call& call, ApiVersionsResponse& response) {
  using Supported = ApiVersionsResponse::SupportedFeatureKey;
  using Finalized = ApiVersionsResponse::FinalizedFeatureKey;
  constexpr std::size_t count = std::size(kafka::features);
  const auto supported = take_array<Supported>(core, call.request, count);
  const auto finalized = take_array<Finalized>(core, call.request, count);
  if (supported.empty() || finalized.empty()) return;
  for (std::size_t i = 0; i < count; ++i) {
    const kafka::Feature& feature = kafka::features[i];
    supported[i] = {feature.name, feature.level, feature.level};
    finalized[i] = {feature.name, feature.level, feature.level};
  }
  response.supported_features = supported;
  response.finalized_features_epoch = features_epoch;
  response.finalized_features = finalized;
}

}  // namespace

Started start_api_versions(Core& core, Call& call, Now) {
  ApiVersionsResponse response;
  ApiVersionsRequest body;
  if (!decode(core, call, body)) return Started::close;
  if (call.header.api_version >= 3 && (!is_software_name(body.client_software_name) ||
                                       !is_software_name(body.client_software_version))) {
    response.error_code = kafka::to_wire(kafka::ErrorCode::invalid_request);
    return answer_now(core, call, response);
  }
  const auto apis = kafka::apis();
  response.api_keys = take_array<ApiVersionsResponse::ApiVersion>(core, call.request, apis.size());
  for (std::size_t i = 0; i < response.api_keys.size(); ++i) {
    response.api_keys[i] = to_entry(apis[i]);
  }
  if (call.header.api_version >= first_with_features) add_features(core, call, response);
  return answer_now(core, call, response);
}

// A version that we do not speak: the body is not read, and the answer is one that every client
// can, with only ApiVersions' own range in it.
Started refuse_api_versions(Core& core, Call& call) {
  call.request.api_version = 0;
  ApiVersionsResponse response;
  response.error_code = kafka::to_wire(kafka::ErrorCode::unsupported_version);
  response.api_keys = take_array<ApiVersionsResponse::ApiVersion>(core, call.request, 1);
  const kafka::ApiInfo* own = kafka::find_api(call.header.api_key);
  for (auto& entry : response.api_keys) entry = to_entry(*own);
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
