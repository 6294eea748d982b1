// ClientQuotas: the quotas of all clients as an image has them, and which one is a client's.
//
// A quota is set for a user, for a client id, or for both together, each named or "default": for
// all that have none of their own. Kafka's order of precedence, for each kind of quota by itself:
//
//   user and client · user and default client · user · default user and client ·
//   default user and default client · default user · client · default client
//
// Who is counted together follows from the level that matched: a user's clients share the quota
// of the user, but with a client in it each pair of user and client has its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace tailrace::bus {

enum class QuotaKind : std::uint8_t { produce, fetch, request, mutation };
inline constexpr std::size_t quota_kinds = 4;

// Until somebody authenticates, all clients are this user, as in Kafka.
inline constexpr std::string_view anonymous_user = "ANONYMOUS";

// A part of whom a quota is for.
enum class QuotaPart : std::uint8_t { none, any, named };

struct ClientQuota {
  QuotaPart user_part = QuotaPart::none;
  QuotaPart client_part = QuotaPart::none;
  std::string user;    // with `named`
  std::string client;
  std::array<double, quota_kinds> limits{};  // per second, by kind; 0: not set

  using Key = std::tuple<QuotaPart, std::string_view, QuotaPart, std::string_view>;
  Key key() const { return {user_part, user, client_part, client}; }
};

struct QuotaMatch {
  double limit = 0;           // 0: there is no quota
  std::uint64_t account = 0;  // names those that are counted together

  bool found() const { return limit > 0; }
};

struct ClientQuotas {
  std::vector<ClientQuota> all;  // by key()
  std::array<bool, quota_kinds> has_kind{};

  QuotaMatch match(QuotaKind kind, std::string_view user, std::string_view client) const {
    using P = QuotaPart;
    constexpr std::array<std::array<P, 2>, 8> levels = {{{P::named, P::named},
                                                         {P::named, P::any},
                                                         {P::named, P::none},
                                                         {P::any, P::named},
                                                         {P::any, P::any},
                                                         {P::any, P::none},
                                                         {P::none, P::named},
                                                         {P::none, P::any}}};
    if (!has_kind[static_cast<std::size_t>(kind)]) return {};
    for (const auto& [user_part, client_part] : levels) {
      const double limit = limit_of(kind, user_part, user, client_part, client);
      if (limit <= 0) continue;
      return {limit, account_of(kind, user_part != P::none ? user : std::string_view{},
                                client_part != P::none ? client : std::string_view{},
                                user_part != P::none, client_part != P::none)};
    }
    return {};
  }

 private:
  double limit_of(QuotaKind kind, QuotaPart user_part, std::string_view user,
                  QuotaPart client_part, std::string_view client) const {
    const ClientQuota::Key wanted{user_part, user_part == QuotaPart::named ? user : "",
                                  client_part, client_part == QuotaPart::named ? client : ""};
    const auto found = std::lower_bound(
        all.begin(), all.end(), wanted,
        [](const ClientQuota& quota, const ClientQuota::Key& key) { return quota.key() < key; });
    if (found == all.end() || found->key() != wanted) return 0;
    return found->limits[static_cast<std::size_t>(kind)];
  }

  // FNV-1a over the parts with their lengths. Two that collide would be counted together.
  static std::uint64_t account_of(QuotaKind kind, std::string_view user, std::string_view client,
                                  bool has_user, bool has_client) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    const auto mix = [&hash](std::uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3U; };
    mix(static_cast<std::uint64_t>(kind));
    const auto mix_text = [&mix](std::string_view text, bool is_there) {
      mix(is_there ? 1 + text.size() : 0);
      for (const char c : text) mix(static_cast<unsigned char>(c));
    };
    mix_text(user, has_user);
    mix_text(client, has_client);
    return hash;
  }
};

// What a core has used of quotas since it last told the others. Lent to them, who send it back.
struct QuotaUse {
  std::uint64_t account = 0;
  double limit = 0;
  double used = 0;
};
struct QuotaReport {
  std::vector<QuotaUse> uses;
};

}  // namespace tailrace::bus
