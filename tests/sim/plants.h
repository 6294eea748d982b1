// The planted faults and the promise that each breaks: the test of the checkers.
#pragma once

#include <array>
#include <string_view>

#include "world.h"

namespace tailrace::sim {

struct PlantInfo {
  Plant plant;
  std::string_view name;
  std::string_view promise;  // that is found broken
  bool log_only = false;     // in the simulation of the log alone
  bool over_links = false;   // only links can show it
};

inline constexpr auto plants = std::to_array<PlantInfo>({
    {Plant::sync_lies, "sync_lies", "acked_is_durable"},
    {Plant::directory_lies, "directory_lies", "starts"},
    {Plant::ack_early, "ack_early", "acked_is_durable"},
    {Plant::commit_early, "commit_early", "commits_stay"},
    {Plant::keep_revoked, "keep_revoked", "one_owner"},
    {Plant::believe_commit, "believe_commit", "lost_transactions"},
    {Plant::commit_aborted, "commit_aborted", "aborted_reads"},
    {Plant::offset_apart, "offset_apart", "offsets_with_records"},
    {Plant::ignore_aborted, "ignore_aborted", "aborted_reads"},
    {Plant::read_undecided, "read_undecided", "aborted_reads"},
    {Plant::lose_part, "lose_part", "torn_transactions"},
    {Plant::read_elsewhere, "read_elsewhere", "committed_once"},
    {Plant::hold_stable, "hold_stable", "no_hanging_transaction"},
    {Plant::spoil_response, "spoil_response", "acked_is_durable"},
    {Plant::send_twice, "send_twice", "no_duplicate"},
    {Plant::swap_order, "swap_order", "order"},
    {Plant::lose_batch, "lose_batch", "offsets_dense"},
    {Plant::read_ahead, "read_ahead", "reads_stay"},
    {Plant::jump_ahead, "jump_ahead", "reads_stay"},
    {Plant::false_range, "false_range", "in_range"},
    {Plant::delete_more, "delete_more", "retention_keeps"},
    {Plant::compaction_lies, "compaction_lies", "acked_is_durable", true},
    {Plant::wrong_key, "wrong_key", "latest_of_key_stays", true},
    {Plant::forget_tombstones, "forget_tombstones", "tombstones_stay", true},
    {Plant::forget_delete, "forget_delete", "delete_records_stay"},
    {Plant::forget_topic, "forget_topic", "metadata_stays"},
    {Plant::swap_answers, "swap_answers", "responses_in_order"},
    {Plant::leave_orphans, "leave_orphans", "no_orphans"},
    {Plant::reuse_early, "reuse_early", "streams", false, true},
    {Plant::lose_hold, "lose_hold", "nothing_stays_open", false, true},
    {Plant::keep_frames, "keep_frames", "nothing_stays_open", false, true},
    {Plant::stall, "stall", "liveness"},
    {Plant::leak, "leak", "bounded_memory"},
    {Plant::spoil_block, "spoil_block", "seams"},
    {Plant::remember, "remember", "same_seed"},
    {Plant::pass_undecided, "pass_undecided", "stable_end", true},
    {Plant::forget_aborted, "forget_aborted", "aborted_are_told", true},
    {Plant::keep_aborted, "keep_aborted", "committed_reads", true},
    {Plant::lose_marker, "lose_marker", "markers_stay", true},
    {Plant::lose_empty, "lose_empty", "producers_stay", true},
    {Plant::lose_newest, "lose_newest", "untouched_stay", true},
    {Plant::see_old, "see_old", "old_records_go", true},
    {Plant::late_timestamp, "late_timestamp", "timestamps_found", true},
});

inline const PlantInfo* find_plant(std::string_view name) {
  for (const PlantInfo& info : plants) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

}  // namespace tailrace::sim
