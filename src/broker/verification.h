// Verification of transactional batches (KIP-890): before a batch opens a transaction in a
// partition, the transaction's coordinator is asked whether that partition belongs to it. Without
// the question a batch that was delayed beyond its transaction's end would open one that nobody
// ends, and readers of committed records would never get past it.
//
//   append ──▶ owners: all open here? ── yes ──────────────────────────────▶ appended
//                     │ no: nothing was appended (of that owner's)
//                     ▼
//   (waits for those before it) ──▶ AddPartitionsToTxn to control ──▶ append again, with the guards
//
// Clients from Produce 12 on have the partitions added on the way; for older ones, which add them
// themselves, it is only looked whether they did.
//
// Order: while a request of a connection is at it, no other of that connection begins. With several
// cores a few may have been on their way to the owners; those that have to ask as well wait here
// for their turn, so that they are appended in the order they came in.
#pragma once

#include "base/time.h"
#include "broker/request.h"

namespace tailrace::broker {

struct Core;

// A Produce whose tasks are all home: has some owner asked for a verification?
bool wants_verification(const Request& request);
// Asks, now or when its turn comes.
void verify(Core& core, Request& request, Now now);
// Control has answered: appends what may be appended.
void on_verified(Core& core, Request& request, Now now);

}  // namespace tailrace::broker
