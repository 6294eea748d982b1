// ApiVersions: what is spoken here. The first request of every client, so its corner cases
// matter most (KIP-511).
#include <iterator>

#include "broker/answer.h"
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

// What clients look at before they use a newer protocol. "Supported" is left out: clients before
// version 4 do not bear a feature that begins at 0 in it.
struct Feature {
  std::string_view name;
  std::int16_t level;
};
constexpr Feature features[] = {
    {"group.version", 1},  // KIP-848: the consumer group protocol
    {"transaction.version", 2},  // KIP-890: every transaction has an epoch of its own
};
constexpr std::int64_t features_epoch = 1;  // They do not change while a node runs.

ApiVersionsResponse::ApiVersion to_entry(const kafka::ApiInfo& api) {
  return {static_cast<std::int16_t>(api.key), api.version_min, api.version_max};
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
  if (call.header.api_version >= first_with_features) {
    using Finalized = ApiVersionsResponse::FinalizedFeatureKey;
    response.finalized_features_epoch = features_epoch;
    response.finalized_features =
        take_array<Finalized>(core, call.request, std::size(features));
    for (std::size_t i = 0; i < response.finalized_features.size(); ++i) {
      response.finalized_features[i] = {features[i].name, features[i].level, features[i].level};
    }
  }
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
