#include "control/client_quotas.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

using bus::QuotaKind;

const std::optional<std::string> all;

TEST(QuotaTable, KafkasOrderOfPrecedence) {
  // From the last to the first that counts; each time one more is set.
  const std::vector<QuotaEntity> levels = {
      {{"client-id", all}},
      {{"client-id", "c"}},
      {{"user", all}},
      {{"user", all}, {"client-id", all}},
      {{"user", all}, {"client-id", "c"}},
      {{"user", "u"}},
      {{"user", "u"}, {"client-id", all}},
      {{"user", "u"}, {"client-id", "c"}}};
  QuotaMap quotas;
  double rate = 0;
  for (const QuotaEntity& entity : levels) {
    quotas[entity]["producer_byte_rate"] = ++rate;
    EXPECT_EQ(client_quotas(quotas).match(QuotaKind::produce, "u", "c").limit, rate);
  }
  const bus::ClientQuotas made = client_quotas(quotas);
  EXPECT_EQ(made.match(QuotaKind::produce, "u", "other").limit, 7);
  EXPECT_EQ(made.match(QuotaKind::produce, "other", "c").limit, 5);
  EXPECT_EQ(made.match(QuotaKind::produce, "other", "other").limit, 4);
  EXPECT_FALSE(made.match(QuotaKind::fetch, "u", "c").found()) << "each kind by itself";
}

TEST(QuotaTable, AKindThatIsNotSetIsLookedForAtTheNextLevel) {
  QuotaMap quotas;
  quotas[{{"user", "u"}}]["consumer_byte_rate"] = 1;
  quotas[{{"client-id", "c"}}]["producer_byte_rate"] = 2;
  const bus::ClientQuotas made = client_quotas(quotas);
  EXPECT_EQ(made.match(QuotaKind::produce, "u", "c").limit, 2);
  EXPECT_EQ(made.match(QuotaKind::fetch, "u", "c").limit, 1);
}

TEST(QuotaTable, WhoIsCountedTogether) {
  const auto same = [](const QuotaEntity& entity, std::string_view user, std::string_view client,
                       std::string_view other_user, std::string_view other_client) {
    QuotaMap quotas;
    quotas[entity]["producer_byte_rate"] = 1;
    const bus::ClientQuotas made = client_quotas(quotas);
    const auto one = made.match(QuotaKind::produce, user, client);
    const auto other = made.match(QuotaKind::produce, other_user, other_client);
    EXPECT_TRUE(one.found() && other.found());
    return one.account == other.account;
  };
  EXPECT_TRUE(same({{"user", "u"}}, "u", "a", "u", "b")) << "a user's clients";
  EXPECT_FALSE(same({{"user", all}}, "u", "a", "v", "a")) << "but not all users";
  EXPECT_FALSE(same({{"client-id", all}}, "u", "a", "u", "b"));
  EXPECT_TRUE(same({{"client-id", "a"}}, "u", "a", "v", "a")) << "whoever has the client id";
  EXPECT_FALSE(same({{"user", "u"}, {"client-id", all}}, "u", "a", "u", "b"));
  EXPECT_FALSE(same({{"user", all}, {"client-id", "a"}}, "u", "a", "v", "a"));
  EXPECT_FALSE(same({{"client-id", all}}, "", "", "", "x"));
}

TEST(QuotaTable, KindsHaveAccountsOfTheirOwn) {
  QuotaMap quotas;
  quotas[{{"user", "u"}}] = {{"producer_byte_rate", 1}, {"consumer_byte_rate", 1}};
  const bus::ClientQuotas made = client_quotas(quotas);
  EXPECT_NE(made.match(QuotaKind::produce, "u", "c").account,
            made.match(QuotaKind::fetch, "u", "c").account);
}

}  // namespace
}  // namespace tailrace::control
