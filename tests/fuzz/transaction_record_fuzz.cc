// Records of __transaction_state: a key or a value. Input: a byte that chooses, then the bytes.
#include "../support/fuzz_target.h"
#include "control/transaction_records.h"

namespace {

using namespace tailrace;
using namespace tailrace::control;

// What was read says the same when it is written. (Without a transaction there are no
// partitions, whatever an old record said.)
void try_value(Bytes input) {
  Result<TransactionRecord> record = parse_transaction_value(input);
  if (!record) return;
  if (record->state == TransactionState::empty) record->partitions.clear();
  TR_ASSERT(*parse_transaction_value(encode_transaction_value(*record)) == *record);
}

void try_key(Bytes input) {
  if (const Result<std::string_view> id = parse_transaction_key(input)) {
    TR_ASSERT(*parse_transaction_key(encode_transaction_key(*id)) == *id);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t kind = fuzz::take_choice(input);
  if (kind % 2 == 0) try_key(input);
  else try_value(input);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  TransactionRecord record;
  record.producer_id = 7;
  record.previous_producer_id = 6;
  record.next_producer_id = 8;
  record.state = TransactionState::ongoing;
  record.partitions = {{"a", 0}, {"a", 1}, {"b", 0}};
  record.client_version = 2;
  std::vector<std::string> seeds;
  for (const auto& [kind, bytes] : {std::pair{'\0', encode_transaction_key("tx")},
                                    std::pair{'\1', encode_transaction_value(record)}}) {
    seeds.push_back(kind + std::string(as_text(bytes)));
  }
  return seeds;
}
