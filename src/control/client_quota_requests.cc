// DescribeClientQuotas and AlterClientQuotas.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "control/client_quotas.h"
#include "control/request_context.h"
#include "kafka/gen/alter_client_quotas.h"
#include "kafka/gen/describe_client_quotas.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

Refusal invalid(std::string why) { return {ErrorCode::invalid_request, std::move(why)}; }

bool is_entity_type(std::string_view type) {
  return type == quota_user || type == quota_client_id || type == quota_ip;
}

// ---------------------------------------------------------------- DescribeClientQuotas

using Asked = kafka::DescribeClientQuotasRequest;
using Told = kafka::DescribeClientQuotasResponse;

enum class MatchType : std::int8_t { exact = 0, defaults = 1, any = 2 };

struct Filter {
  std::map<std::string_view, std::optional<std::string_view>> exact;  // empty: the default's
  std::set<std::string_view> any;

  bool names(std::string_view type) const { return exact.contains(type) || any.contains(type); }

  bool matches(const QuotaEntity& entity, bool strict) const {
    if (strict && entity.size() != exact.size() + any.size()) return false;
    for (const auto& [type, name] : exact) {
      const auto found = entity.find(type);
      if (found == entity.end() || found->second.has_value() != name.has_value()) return false;
      if (name && *found->second != *name) return false;
    }
    for (const std::string_view type : any) {
      if (entity.find(type) == entity.end()) return false;
    }
    return true;
  }
};

Refusal add_component(const Asked::ComponentData& component, Filter& filter) {
  const std::string_view type = component.entity_type;
  if (type.empty()) return invalid("Invalid empty entity type.");
  if (filter.names(type)) {
    return invalid(fmt::format("Entity type {} cannot appear more than once in the filter.", type));
  }
  if (!is_entity_type(type)) {
    return {ErrorCode::unsupported_version, fmt::format("Unsupported entity type {}", type)};
  }
  const auto has_name = [](std::string_view match_type) {
    return invalid(fmt::format("Request specified {}, but also specified a match string.",
                               match_type));
  };
  switch (static_cast<MatchType>(component.match_type)) {
    case MatchType::exact:
      if (component.match.is_null()) {
        return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.");
      }
      filter.exact[type] = component.match.value;
      return {};
    case MatchType::defaults:
      if (!component.match.is_null()) return has_name("MATCH_TYPE_DEFAULT");
      filter.exact[type] = std::nullopt;
      return {};
    case MatchType::any:
      if (!component.match.is_null()) return has_name("MATCH_TYPE_SPECIFIED");
      filter.any.insert(type);
      return {};
  }
  return invalid(fmt::format("Unknown match type {}", component.match_type));
}

Refusal read_filter(const Asked& request, Filter& filter) {
  for (const auto& component : request.components) {
    if (Refusal refusal = add_component(component, filter); refusal.refused()) return refusal;
  }
  if (filter.names(quota_ip) && (filter.names(quota_user) || filter.names(quota_client_id))) {
    return invalid("Invalid entity filter component combination. IP filter component should not "
                   "be used with user or clientId filter component.");
  }
  return {};
}

// ---------------------------------------------------------------- AlterClientQuotas

using Wanted = kafka::AlterClientQuotasRequest;
using Altered = kafka::AlterClientQuotasResponse;

Refusal read_entity(const Wanted::EntryData& entry, QuotaEntity& entity) {
  if (entry.entity.empty()) return invalid("Invalid empty client quota entity");
  for (const auto& part : entry.entity) {
    if (!is_entity_type(part.entity_type)) {
      return invalid(fmt::format("Unhandled client quota entity type: {}", part.entity_type));
    }
    if (!part.entity_name.is_null() && part.entity_name.value.empty()) {
      return invalid(fmt::format("Empty {} not supported", part.entity_type));
    }
    std::optional<std::string> name;
    if (!part.entity_name.is_null()) name = std::string(part.entity_name.value);
    if (!entity.emplace(part.entity_type, std::move(name)).second) {
      return invalid(fmt::format("Invalid client quota entity, duplicate entity entry {}",
                                 part.entity_type));
    }
  }
  if (entity.contains(quota_ip) && entity.size() > 1) {
    return invalid("Invalid empty client quota entity");
  }
  return {};
}

// An address, dotted or with colons. Names of hosts are not looked up here.
Refusal check_address(const QuotaEntity& entity) {
  const auto ip = entity.find(quota_ip);
  if (ip == entity.end() || !ip->second) return {};
  const std::string& text = *ip->second;
  const bool has_colon = text.find(':') != std::string::npos;
  const std::string_view allowed = has_colon ? "0123456789abcdefABCDEF:.%" : "0123456789.";
  const bool is_dotted = std::count(text.begin(), text.end(), '.') == 3;
  if (text.find_first_not_of(allowed) == std::string::npos && (has_colon || is_dotted)) return {};
  return invalid(fmt::format("{} is not a valid IP or resolvable host.", text));
}

Refusal check_value(const QuotaEntity& entity, std::string_view key, double value) {
  const bool is_ip = entity.contains(quota_ip);
  const bool is_known =
      is_ip ? key == "connection_creation_rate" : quota_kind(key).has_value();
  if (!is_known) return invalid(fmt::format("Invalid configuration key {}", key));
  if (!(value > 0) || !std::isfinite(value)) {
    return invalid(fmt::format("Quota {} must be greater than 0", key));
  }
  const bool is_fraction = key == "request_percentage" || key == "controller_mutation_rate";
  if (is_fraction) return {};
  if (value > (is_ip ? 2147483647.0 : 9223372036854775807.0)) {
    return invalid(fmt::format("Proposed value for {} is too large for {}.", key,
                               is_ip ? "an INT" : "a LONG"));
  }
  if (std::fabs(std::fmod(value, 1.0)) > 1e-6) {
    return invalid(fmt::format("{} cannot be a fractional value.", key));
  }
  return {};
}

class QuotaChanger {
 public:
  explicit QuotaChanger(RequestContext& context) : context_(context) {}

  Outcome run(const Wanted& request) {
    std::vector<Altered::EntryData> entries;
    for (const auto& entry : request.entries) {
      QuotaEntity entity;
      std::vector<ClientQuotaRecord> records;
      Refusal refusal = context_.refuse_all;
      if (!refusal.refused()) refusal = read_entity(entry, entity);
      if (!refusal.refused()) refusal = check_address(entity);
      if (!refusal.refused()) refusal = read_changes(entry, entity, records);
      for (const ClientQuotaRecord& record : records) {
        if (refusal.refused() || request.validate_only) break;
        refusal = context_.commit(record, record.value.has_value());
      }
      auto& told = entries.emplace_back();
      told.error_code = refusal.wire_code();
      told.error_message = context_.text(std::move(refusal.message));
      told.entity = named(entry);
    }
    Altered response;
    response.entries = entries;
    return context_.answer(response);
  }

 private:
  Refusal read_changes(const Wanted::EntryData& entry, const QuotaEntity& entity,
                       std::vector<ClientQuotaRecord>& records) {
    const auto& quotas = context_.state.quotas();
    const auto there = quotas.find(entity);
    std::map<std::string_view, std::optional<double>> changes;
    for (const auto& op : entry.ops) {
      if (!op.remove) {
        if (Refusal refusal = check_value(entity, op.key, op.value); refusal.refused()) {
          return refusal;
        }
      }
      changes[op.key] = op.remove ? std::nullopt : std::optional(op.value);
    }
    const std::size_t bytes = context_.limits.config_bytes_max;
    for (const auto& [type, name] : entity) {
      if (name && name->size() > bytes) return invalid(fmt::format("The {} is too long.", type));
    }
    for (const auto& [key, value] : changes) {
      const bool is_set = there != quotas.end() && there->second.find(key) != there->second.end();
      if (!value && !is_set) continue;  // Taken back already.
      if (value && is_set && there->second.find(key)->second == *value) continue;
      records.push_back({entity, std::string(key), value});
    }
    const bool is_new = there == quotas.end() && !records.empty() && made_.insert(entity).second;
    if (is_new && quotas.size() + made_.size() > context_.limits.quota_entities_max) {
      return {ErrorCode::policy_violation,
              fmt::format("There are quotas of {} entities already, and this node takes no more "
                          "(limits.quota_entities_max).", quotas.size())};
    }
    return {};
  }

  std::span<Altered::EntryData::EntityData> named(const Wanted::EntryData& entry) {
    auto& parts = parts_.emplace_back();
    for (const auto& part : entry.entity) parts.push_back({part.entity_type, part.entity_name});
    return parts;
  }

  RequestContext& context_;
  std::set<QuotaEntity> made_;  // by this request
  std::deque<std::vector<Altered::EntryData::EntityData>> parts_;
};

}  // namespace

Outcome describe_client_quotas(RequestContext& context) {
  const Result<Asked> request = context.decode<Asked>();
  if (!request) return context.cannot_decode();
  Told response;
  Filter filter;
  Refusal refusal = context.refuse_all;
  if (!refusal.refused()) refusal = read_filter(*request, filter);
  if (refusal.refused()) {
    response.error_code = refusal.wire_code();
    response.error_message = context.text(std::move(refusal.message));
    return context.answer(response);
  }
  std::vector<Told::EntryData> entries;
  std::deque<std::vector<Told::EntryData::EntityData>> entities;
  std::deque<std::vector<Told::EntryData::ValueData>> values;
  for (const auto& [entity, quotas] : context.state.quotas()) {
    if (!filter.matches(entity, request->strict)) continue;
    auto& parts = entities.emplace_back();
    for (const auto& [type, name] : entity) {
      auto& part = parts.emplace_back();
      part.entity_type = type;
      if (name) part.entity_name = std::string_view(*name);
    }
    auto& set = values.emplace_back();
    for (const auto& [key, value] : quotas) set.push_back({key, value});
    entries.push_back({parts, set});
  }
  response.entries = std::span(entries);
  return context.answer(response);
}

Outcome alter_client_quotas(RequestContext& context) {
  const Result<Wanted> request = context.decode<Wanted>();
  if (!request) return context.cannot_decode();
  return QuotaChanger(context).run(*request);
}

}  // namespace tailrace::control
