// World: what all parts of one run share.
#pragma once

#include <memory>
#include <vector>

#include "checkers/history.h"
#include "checkers/ownership.h"
#include "checkers/records.h"
#include "checkers/retention.h"
#include "checkers/transactions.h"
#include "checkers/verdicts.h"
#include "sim_clock.h"
#include "trace.h"

namespace tailrace::sim {

class SimNode;
class Links;

// Lies told by the seams or to the checkers, one at a time; plants.h says who must notice.
enum class Plant : std::uint8_t {
  none,
  sync_lies,       // the disk says "durable" and does nothing
  directory_lies,  // the same for the entries of directories
  ack_early,       // a producer believes in an acknowledgement that never came
  commit_early,    // the same for a committed offset
  keep_revoked,    // a member of a group goes on with what it said it gave up
  spoil_response,  // a bit of a response changes on its way
  believe_commit,  // a producer believes that a commit arrived which got no answer
  commit_aborted,  // a transaction is committed, and the checker is told that it was aborted
  offset_apart,    // a transaction commits an offset that is not its own
  ignore_aborted,  // a reader takes no notice of what was aborted
  read_undecided,  // a reader at READ_COMMITTED asks without saying so
  lose_part,       // a reader does not see a batch of a transaction
  read_elsewhere,  // a reader takes a record for the one behind it
  hold_stable,     // the last stable offset is never the end
  send_twice,      // a record is sent again as a new one
  swap_order,      // two records of a producer change their numbers
  lose_batch,      // a consumer does not see the first of several batches
  read_ahead,      // a consumer believes to have read one record more
  jump_ahead,      // a consumer goes on far behind where it has read to
  false_range,     // a consumer takes a good answer for "out of range"
  delete_more,     // somebody deletes records, and the checker is not told
  compaction_lies, // the disk says "durable" of a compacted segment and does nothing
  wrong_key,       // the checker is told another key than a record has
  forget_tombstones,  // the checker is told that deletions stay longer than they do
  forget_delete,   // the checker is told of a deletion that was not asked for
  forget_topic,    // the checker is told of a topic that was never made
  swap_answers,    // a client takes the second answer for the first
  leave_orphans,   // a start does not look for files that nobody names
  reuse_early,     // over links: memory of a send is given back when the device took its frames
  lose_hold,       // over links: a device does not say that it is done with a payload
  keep_frames,     // over links: some received frames are never given back
  stall,           // the node takes no more turns
  leak,            // something is kept at every turn
  spoil_block,     // a block changes while it is written
  remember,        // something outlives a run and decides in the next
  pass_undecided,  // the log alone: the stable end is told as the durable one
  forget_aborted,  // the log alone: the newest aborted transaction is not told
  keep_aborted,    // the log alone: an aborted transaction is told for ever
  lose_marker,     // the log alone: the last reader does not see a marker
  lose_empty,      // the log alone: nor a batch without records
  lose_newest,     // the log alone: nor the last batch of all
  see_old,         // the log alone: it sees the first batch as it was
  late_timestamp,  // the log alone: it is searched for a later time than was asked for
};

// A quick run is over in a moment and as dense as can be. A life goes on for minutes at the pace
// of applications: sessions and transactions that expire, groups that come and go.
enum class Pace : std::uint8_t { quick, life };

struct World {
  explicit World(bool verbose);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  SimClock clock;
  Trace trace;
  History history;
  Verdicts verdicts;
  RecordCheckers records{history, verdicts};
  RetentionChecker retention{history, verdicts};
  OwnershipChecker ownership{verdicts};
  TransactionCheckers transactions{verdicts};
  std::unique_ptr<Links> links;   // none: bytes go through the simulated transport
  std::vector<std::unique_ptr<SimNode>> nodes;
  Plant plant = Plant::none;
  bool quiet = false;  // no more faults, no more new work: what is open is brought to its end
};

}  // namespace tailrace::sim
