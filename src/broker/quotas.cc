#include "broker/quotas.h"

#include <algorithm>

#include "broker/core.h"

namespace tailrace::broker {
namespace {

using bus::QuotaKind;
using bus::QuotaMatch;

constexpr double burst_s = 1;
constexpr Duration report_interval = milliseconds(100);
constexpr std::size_t report_uses_max = 4096;
constexpr std::size_t turn_work_max = 1024;
// A turn of more time than this was not spent on requests alone.
constexpr Duration turn_time_max = milliseconds(100);
// Kafka tells no client to wait longer than this for its time.
constexpr std::uint32_t time_wait_ms_max = 1000;
// A client may have used more than the waits make up for; so much of it is remembered.
constexpr double time_debt_s_max = 10;
// Bytes that cost about as much as a request by itself.
constexpr double bytes_per_request = 16384;

// A percentage is nanoseconds per second here.
double to_rate(QuotaKind kind, double limit) {
  return kind == QuotaKind::request ? limit * 1e7 : limit;
}

}  // namespace

Quotas::Quotas(const Limits& limits, bus::CoreId)
    : core_count_(limits.core_count), accounts_(limits.quota_accounts_max),
      by_id_(limits.quota_accounts_max) {
  TR_ASSERT(limits.quota_accounts_max > 0);
  report_.uses.reserve(report_uses_max);
  work_.reserve(turn_work_max);
}

bool Quotas::adopt(const bus::MetadataImage& image) {
  if (image.quotas.get() == quotas_) return false;
  quotas_ = image.quotas.get();
  measures_time_ =
      is_set() && quotas_->has_kind[static_cast<std::size_t>(QuotaKind::request)];
  work_.clear();
  turn_weight_ = 0;
  return true;
}

QuotaMatch Quotas::match(QuotaKind kind, std::string_view client_id) const {
  if (!is_set()) return {};
  QuotaMatch match = quotas_->match(kind, bus::anonymous_user, client_id);
  match.limit = to_rate(kind, match.limit);
  return match;
}

// A full table forgets who was counted longest ago, debt or not: it has room for more clients than
// there can be connections.
QuotaAccount& Quotas::account(const QuotaMatch& match, Instant now) {
  TR_ASSERT(match.found());
  QuotaAccount* found = accounts_.find(by_id_.find(match.account));
  if (found != nullptr) {
    use_order_.remove(*found);
    use_order_.push_back(*found);
    found->bucket.refill(match.limit, now);
    return *found;
  }
  if (accounts_.full()) {
    QuotaAccount& oldest = *use_order_.pop_front();
    if (oldest.report_link.linked) unreported_.remove(oldest);
    by_id_.erase(oldest.id);
    accounts_.erase(oldest.handle);
  }
  const Handle<QuotaAccount> handle = accounts_.insert();
  QuotaAccount& made = accounts_.at(handle);
  made.id = match.account;
  made.bucket = TokenBucket::full(match.limit, burst_s, now);
  made.handle = handle;
  by_id_.insert(made.id, handle);
  use_order_.push_back(made);
  return made;
}

std::uint32_t Quotas::wait_ms(const QuotaMatch& match, double more, Instant now) {
  return match.found() ? account(match, now).bucket.wait_ms(more) : 0;
}

void Quotas::take(const QuotaMatch& match, double count, Instant now) {
  if (!match.found()) return;
  QuotaAccount& used = account(match, now);
  used.bucket.take(count);
  if (core_count_ == 1) return;
  used.unreported += count;
  if (!used.report_link.linked) unreported_.push_back(used);
}

void Quotas::begin_turn(Instant now) {
  if (now == turn_began_) return;
  const Duration took = std::clamp(now - turn_began_, Duration{}, turn_time_max);
  for (const Work& work : work_) {
    take(work.match, static_cast<double>(took.ns) * work.weight / turn_weight_, now);
    TokenBucket& bucket = account(work.match, now).bucket;
    bucket.tokens = std::max(bucket.tokens, -time_debt_s_max * bucket.rate);
  }
  work_.clear();
  turn_weight_ = 0;
  turn_began_ = now;
}

void Quotas::note_work(const QuotaMatch& match, std::size_t bytes) {
  const double weight = 1 + static_cast<double>(bytes) / bytes_per_request;
  turn_weight_ += weight;
  if (match.found() && work_.size() < turn_work_max) work_.push_back({match, weight});
}

bus::QuotaReport* Quotas::take_report(Instant now) {
  if (reports_out_ > 0 || unreported_.front() == nullptr || now < report_due_) return nullptr;
  report_.uses.clear();
  while (report_.uses.size() < report_uses_max) {
    QuotaAccount* used = unreported_.pop_front();
    if (used == nullptr) break;
    report_.uses.push_back({used->id, used->bucket.rate, used->unreported});
    used->unreported = 0;
  }
  report_due_ = now + report_interval;
  reports_out_ = core_count_ - 1U;
  return &report_;
}

void Quotas::report_back() {
  TR_ASSERT(reports_out_ > 0);
  --reports_out_;
}

void Quotas::on_report(const bus::QuotaReport& report, Instant now) {
  for (const bus::QuotaUse& use : report.uses) {
    account({use.limit, use.account}, now).bucket.take(use.used);
  }
}

Instant Quotas::next_deadline() const {
  const bool waits = reports_out_ == 0 && unreported_.front() != nullptr;
  return waits ? report_due_ : never();
}

// ---------------------------------------------------------------- requests

void look_up_quotas(Core& core, Request& request, std::string_view client_id,
                    std::size_t frame_bytes, Now now) {
  Quotas& quotas = core.quotas;
  if (!quotas.is_set()) return;
  RequestQuota& quota = request.quota;
  const bool is_produce = is_api(request, kafka::ApiKey::produce);
  if (is_produce) quota.bytes = quotas.match(QuotaKind::produce, client_id);
  if (is_api(request, kafka::ApiKey::fetch)) {
    quota.bytes = quotas.match(QuotaKind::fetch, client_id);
  }
  quota.time = quotas.match(QuotaKind::request, client_id);
  const double more = is_produce ? static_cast<double>(frame_bytes) : 0;
  quota.throttle_ms = std::max(quotas.wait_ms(quota.bytes, more, now.instant),
                               std::min(quotas.wait_ms(quota.time, 0, now.instant),
                                        time_wait_ms_max));
}

void charge_request(Core& core, Session& session, Request& request, std::size_t frame_bytes,
                    Now now) {
  Quotas& quotas = core.quotas;
  if (!quotas.is_set()) return;
  if (is_api(request, kafka::ApiKey::produce)) {
    quotas.take(request.quota.bytes, static_cast<double>(frame_bytes), now.instant);
  }
  if (quotas.measures_time()) quotas.note_work(request.quota.time, frame_bytes);
  if (request.quota.throttle_ms == 0) return;
  core.counters.throttled.add();
  mute(core, session, now.instant + milliseconds(request.quota.throttle_ms));
}

void charge_answer(Core& core, Request& request, std::size_t bytes, Now now) {
  Quotas& quotas = core.quotas;
  if (!quotas.is_set()) return;
  // One that tells a client to wait has nothing in it.
  const bool counts = is_api(request, kafka::ApiKey::fetch) && request.quota.throttle_ms == 0;
  if (counts) quotas.take(request.quota.bytes, static_cast<double>(bytes), now.instant);
  if (quotas.measures_time()) quotas.note_work(request.quota.time, bytes);
}

std::uint32_t quota_bytes_max(const Request& request, std::uint32_t bytes_max) {
  const QuotaMatch& bytes = request.quota.bytes;
  if (!bytes.found() || bytes.limit * burst_s >= bytes_max) return bytes_max;
  return std::max(1U, static_cast<std::uint32_t>(bytes.limit * burst_s));
}

// ---------------------------------------------------------------- connections

bool is_muted(const Session& session) { return session.heap_index != no_deadline; }

void mute(Core& core, Session& session, Instant until) {
  if (session.is_closing || (is_muted(session) && session.deadline >= until)) return;
  core.muted.remove(session);
  session.deadline = until;
  core.muted.insert(session);
}

void end_mutes(Core& core, Now now, bool all) {
  while (Session* session = core.muted.earliest()) {
    if (!all && now.instant < session->deadline) return;
    core.muted.remove(*session);
    add_work(core, *session);
  }
}

// ---------------------------------------------------------------- cores

void step_quotas(Core& core, Now now) {
  end_mutes(core, now, false);
  bus::QuotaReport* report = core.quotas.take_report(now.instant);
  if (report == nullptr) return;
  for (bus::CoreId other = 0; other < core.limits.core_count; ++other) {
    if (other != core.core) core.send(other, bus::MessageKind::quota_report, report);
  }
}

void on_quota_report(Core& core, const bus::QuotaReport& report, Now now) {
  core.quotas.on_report(report, now.instant);
}

}  // namespace tailrace::broker
