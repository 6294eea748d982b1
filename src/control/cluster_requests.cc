// UpdateFeatures and UnregisterBroker: changes of the cluster itself, of which one node allows few.
#include <fmt/format.h>

#include "control/request_context.h"
#include "kafka/gen/unregister_broker.h"
#include "kafka/gen/update_features.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Request = kafka::UpdateFeaturesRequest;
using Response = kafka::UpdateFeaturesResponse;

constexpr std::int8_t upgrade = 1;
constexpr std::int8_t unsafe_downgrade = 3;

// No feature has a level that could be changed.
Refusal refuse_update(const RequestContext& context, const Request::FeatureUpdateKey& update,
                      std::int16_t version) {
  const bool has_type = version >= 1;
  if (has_type && (update.upgrade_type < upgrade || update.upgrade_type > unsafe_downgrade)) {
    return {ErrorCode::invalid_update_version,
            "The controller does not support the given upgrade type."};
  }
  return {ErrorCode::invalid_update_version,
          fmt::format("Invalid update version {} for feature {}. Local controller {} does not "
                      "support this feature.", update.max_version_level, update.feature,
                      context.node_id)};
}

}  // namespace

Outcome update_features(RequestContext& context) {
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  Response response;
  Refusal whole = context.refuse_all;
  std::vector<Response::UpdatableFeatureResult> results;
  for (const auto& update : request->feature_updates) {
    Refusal refusal = context.refuse_all;
    if (!refusal.refused()) refusal = refuse_update(context, update, context.request.api_version);
    if (!whole.refused()) {
      // From version 2 on all are updated or none, and the first error is the answer's.
      const bool is_whole = context.request.api_version >= 2;
      if (is_whole) {
        whole = {refusal.code, fmt::format("The update failed for all features since the following "
                                           "feature had an error: {}", refusal.message)};
      }
    }
    auto& result = results.emplace_back();
    result.feature = update.feature;
    result.error_code = refusal.wire_code();
    result.error_message = context.text(std::move(refusal.message));
  }
  response.error_code = whole.wire_code();
  response.error_message = context.text(std::move(whole.message));
  response.results = results;
  return context.answer(response);
}

Outcome unregister_broker(RequestContext& context) {
  const auto request = context.decode<kafka::UnregisterBrokerRequest>();
  if (!request) return context.cannot_decode();
  Refusal refusal = context.refuse_all;
  if (!refusal.refused() && !context.state.nodes().contains(request->broker_id)) {
    refusal = {ErrorCode::broker_id_not_registered,
               fmt::format("Broker ID {} is not currently registered", request->broker_id)};
  } else if (!refusal.refused()) {
    refusal = {ErrorCode::invalid_request,
               fmt::format("Broker {} is part of this cluster and cannot leave it yet.",
                           request->broker_id)};
  }
  kafka::UnregisterBrokerResponse response;
  response.error_code = refusal.wire_code();
  response.error_message = context.text(std::move(refusal.message));
  return context.answer(response);
}

}  // namespace tailrace::control
