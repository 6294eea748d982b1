// Quotas: how fast clients may produce, fetch and occupy a core (KIP-13, KIP-124, KIP-219).
//
// Each account (bus/client_quotas.h says who is counted together) has a bucket on every core. A
// core takes what its connections use from its own bucket at once and tells the other cores ten
// times a second, who take it from theirs: so every bucket loses what all cores together use, and
// all fill at the same rate. What is used before the others know it is a debt that is paid back.
//
// What is promised: over any time T an account gets at most its rate times (T + 1 s), since one
// second of the rate may be saved up, and a request or answer that was begun. Kafka's own window
// (eleven samples of one second) lets ten seconds' worth through at once; the mean is the same.
//
// The answer of a request that made a debt tells the client how long to wait, and leaves at once;
// meanwhile nothing is read from the connection (KIP-219; Kafka does so for every version since
// 2.0, and newer versions only say that clients know it). A fetch over its quota is answered
// empty at once.
//
// Time on a core, for request_percentage: logic has no clock but the time of each turn. A turn
// that began or answered requests is followed by the next without a sleep, so the time between
// the two is what it took, waiting for the CPU included; it is shared out among the requests by
// their bytes. 100 is one core.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/slab.h"
#include "base/token_bucket.h"
#include "broker/id_table.h"
#include "broker/intrusive_list.h"
#include "broker/limits.h"
#include "bus/client_quotas.h"
#include "bus/image.h"

namespace tailrace::broker {

struct Core;
struct Request;
struct Session;

struct QuotaAccount {
  std::uint64_t id = 0;
  TokenBucket bucket;
  double unreported = 0;
  Link<QuotaAccount> use_link;
  Link<QuotaAccount> report_link;
  Handle<QuotaAccount> handle;
};

class Quotas {
 public:
  Quotas(const Limits& limits, bus::CoreId core);

  // True when they differ from those before.
  bool adopt(const bus::MetadataImage& image);
  bool is_set() const { return quotas_ != nullptr; }
  bus::QuotaMatch match(bus::QuotaKind kind, std::string_view client_id) const;

  // How long an account must wait if `more` is taken now.
  std::uint32_t wait_ms(const bus::QuotaMatch& match, double more, Instant now);
  void take(const bus::QuotaMatch& match, double count, Instant now);

  // --- time on the core
  bool measures_time() const { return measures_time_; }
  void begin_turn(Instant now);
  // Something was done for a request in this turn.
  void note_work(const bus::QuotaMatch& match, std::size_t bytes);

  // --- the other cores
  // Null: there is nothing to tell now. Else it goes to all other cores, and comes back.
  bus::QuotaReport* take_report(Instant now);
  void report_back();
  void on_report(const bus::QuotaReport& report, Instant now);
  Instant next_deadline() const;

 private:
  QuotaAccount& account(const bus::QuotaMatch& match, Instant now);
  struct Work {
    bus::QuotaMatch match;
    double weight = 0;
  };

  std::uint16_t core_count_;
  const bus::ClientQuotas* quotas_ = nullptr;  // the image's; null: none are set
  Slab<QuotaAccount> accounts_;
  IdTable<QuotaAccount> by_id_;
  List<QuotaAccount, &QuotaAccount::use_link> use_order_;  // the longest unused first
  List<QuotaAccount, &QuotaAccount::report_link> unreported_;
  bus::QuotaReport report_;
  std::uint32_t reports_out_ = 0;
  Instant report_due_;

  bool measures_time_ = false;
  Instant turn_began_;
  double turn_weight_ = 0;
  std::vector<Work> work_;
};

// Before a request begins: what its quotas are, and whether it will be told to wait.
void look_up_quotas(Core& core, Request& request, std::string_view client_id,
                    std::size_t frame_bytes, Now now);
// It has begun: counts it, and nothing more is read from its connection while it has to wait.
void charge_request(Core& core, Session& session, Request& request, std::size_t frame_bytes,
                    Now now);
// Its answer is on the way.
void charge_answer(Core& core, Request& request, std::size_t bytes, Now now);
// Of a fetch: no more than a second's worth at a time.
std::uint32_t quota_bytes_max(const Request& request, std::uint32_t bytes_max);

bool is_muted(const Session& session);
void mute(Core& core, Session& session, Instant until);
// Those whose time is over are read again; all of them when the quotas were changed.
void end_mutes(Core& core, Now now, bool all);
// Once per turn.
void step_quotas(Core& core, Now now);
void on_quota_report(Core& core, const bus::QuotaReport& report, Now now);

}  // namespace tailrace::broker
