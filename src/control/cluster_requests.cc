// UpdateFeatures and UnregisterBroker: changes of the cluster itself, of which one node allows few.
#include <fmt/format.h>

#include "control/request_context.h"
#include "kafka/feature_levels.h"
#include "kafka/gen/unregister_broker.h"
#include "kafka/gen/update_features.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Request = kafka::UpdateFeaturesRequest;
using Response = kafka::UpdateFeaturesResponse;

constexpr std::int8_t upgrade = 1;
constexpr std::int8_t unsafe_downgrade = 3;
constexpr std::int16_t all_or_none = 2;  // from this version on

// In Kafka's words and order.
Refusal check_update(const RequestContext& context, const Request::FeatureUpdateKey& update) {
  const auto refused = [&update](std::string_view why) -> Refusal {
    return {ErrorCode::invalid_update_version,
            fmt::format("Invalid update version {} for feature {}. {}", update.max_version_level,
                        update.feature, why)};
  };
  const bool has_type = context.request.api_version >= 1;
  if (has_type && (update.upgrade_type < upgrade || update.upgrade_type > unsafe_downgrade)) {
    return refused("The controller does not support the given upgrade type.");
  }
  if (update.max_version_level < 0) return refused("A feature version cannot be less than 0.");
  // No feature has another level than its own, so that it is there already is all that can be.
  const std::int16_t level = kafka::feature_level(update.feature);
  if (update.max_version_level == level) return {};
  if (level == 0) {
    return refused(fmt::format("Local controller {} does not support this feature.",
                               context.node_id));
  }
  return refused(fmt::format("Local controller {} only supports versions {}", context.node_id,
                             level));
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
    if (!refusal.refused()) refusal = check_update(context, update);
    // The first error is the answer's.
    const bool is_first = refusal.refused() && !whole.refused();
    if (is_first && context.request.api_version >= all_or_none) {
      whole = {refusal.code, fmt::format("The update failed for all features since the following "
                                         "feature had an error: {}", refusal.message)};
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
