#include "raft/entries.h"

#include <gtest/gtest.h>

namespace tailrace::raft {
namespace {

const Configuration one{{1}, {}};
const Configuration three{{1, 2, 3}, {7}};

Entry data(Index index, Term term) { return {index, term, EntryKind::data, {}}; }
Entry configures(Index index, Term term, const Configuration& configuration) {
  return {index, term, EntryKind::configuration, encode_configuration(configuration)};
}

TEST(Entries, ConfigurationSurvivesItsBytes) {
  Configuration read;
  ASSERT_TRUE(decode_configuration(encode_configuration(three), read));
  EXPECT_EQ(read, three);
}

TEST(Entries, BytesThatAreNoConfigurationAreRefused) {
  Configuration read = one;
  const std::vector<std::byte> good = encode_configuration(three);
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_configuration(Bytes(good).first(size), read)) << size;
  }
  EXPECT_FALSE(decode_configuration(encode_configuration({{}, {}}), read)) << "nobody votes";
  EXPECT_FALSE(decode_configuration(encode_configuration({{2, 1}, {}}), read)) << "not ascending";
  EXPECT_EQ(read, one);
}

TEST(Entries, AppendsWithoutGapsAndWithoutFallingTerms) {
  Entries entries(10, 3, one);
  EXPECT_EQ(entries.last(), 10U);
  EXPECT_EQ(entries.last_term(), 3U);
  EXPECT_FALSE(entries.append(data(12, 3))) << "a gap";
  EXPECT_FALSE(entries.append(data(10, 3))) << "in the snapshot";
  EXPECT_FALSE(entries.append(data(11, 2))) << "terms do not fall";
  EXPECT_TRUE(entries.append(data(11, 4)));
  EXPECT_EQ(entries.term_at(11), 4U);
}

TEST(Entries, AConfigurationIsInForceFromItsEntryOnUntilItIsCut) {
  Entries entries(0, 0, one);
  ASSERT_TRUE(entries.append(data(1, 1)));
  ASSERT_TRUE(entries.append(configures(2, 1, three)));
  EXPECT_EQ(entries.configuration_at(1), one);
  EXPECT_EQ(entries.configuration_at(2), three);
  ASSERT_TRUE(entries.append(data(2, 2))) << "another leader's entry replaces it";
  EXPECT_EQ(entries.last(), 2U);
  EXPECT_EQ(entries.configuration_at(2), one);
}

TEST(Entries, ASnapshotCarriesTheConfigurationOfItsIndex) {
  Entries entries(0, 0, one);
  ASSERT_TRUE(entries.append(data(1, 1)));
  ASSERT_TRUE(entries.append(data(2, 1)));
  ASSERT_TRUE(entries.append(configures(3, 1, three)));
  entries.compact(2);
  EXPECT_EQ(entries.first(), 3U);
  EXPECT_EQ(entries.term_at(2), 1U);
  EXPECT_EQ(entries.configuration_at(2), one);
  EXPECT_EQ(entries.configuration_at(3), three);
  entries.compact(1);
  EXPECT_EQ(entries.snapshot_index(), 2U) << "an older snapshot changes nothing";
  entries.compact(3);
  EXPECT_EQ(entries.configuration_at(3), three);
  EXPECT_EQ(entries.last(), 3U);
}

}  // namespace
}  // namespace tailrace::raft
