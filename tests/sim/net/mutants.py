#!/usr/bin/env python3
"""Plants faults in the TCP of src/net, one at a time, and looks whether the tests notice.

    mutants.py BUILD_DIR [NAME...]

Each fault is a change of a few words in one file. The changed file is compiled and linked in place
of the right one, with the simulation of two stacks and with the packet scripts; at least one of
them must fail. A fault that nothing notices fails this test: then an oracle is missing. So does one
whose words are no longer in the file.
"""
import glob
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
SEEDS = 400

# name: (file, what is there, what takes its place)
MUTANTS = {
    "no_persist": ("tcp_timers.cc",
                   "if (c.sent.head == none) return has_unsent;",
                   "if (c.sent.head == none) return false;"),
    "keep_overlap": ("tcp_receive.cc",
                     "bytes = bytes.subspan(known);",
                     "bytes = bytes.first(bytes.size() - known);"),
    "compare_raw": ("tcp_receive.cc",
                    "if (seq < c.receive_next) {",
                    "if (seq.value < c.receive_next.value) {"),
    "no_delayed_ack": ("tcp_receive.cc",
                       "    c.ack_at = tcp.now + tcp.limits.delayed_ack_max;\n",
                       ""),
    "no_window_update": ("tcp_receive.cc",
                         "if (open < 2U * c.receive_mss || gain >= c.receive_buffer / 2)",
                         "if (open > UINT32_MAX - 1 && gain > 0)"),
    "no_reordering_timer": ("tcp_recovery.cc",
                            "      c.reorder_at = due;\n",
                            ""),
    "forget_early_fin": ("tcp_receive.cc",
                         "    c.has_early_fin = true;\n",
                         "    c.has_early_fin = seq == c.receive_next;\n"),
    "release_before_device": ("send_queue.cc",
                              "if (send.slices_left > 0 || send.holds > 0) return;",
                              "if (send.slices_left > 0) return;"),
    "ack_restarts_timer": ("tcp_ack.cc",
                           "if (news.advanced || news.delivered_bytes > 0 || "
                           "c.sent.head == none ||\n      (c.send_window == 0) != "
                           "(old_window == 0)) {",
                           "{"),
    "believe_any_reset": ("tcp_input.cc",
                          "if (header.seq == c.receive_next) {",
                          "if (header.seq >= c.receive_next) {"),
    # The shortcuts: what they take must be what the long way would have made of it. (Without a look
    # at early data, an early FIN, a closing end, a closed window or unsent data nothing changes:
    # other conditions imply these, or what follows is the same.)
    "plain_any_ip_sum": ("packet.cc",
                         "(checksum_of({at, ipv4_bytes}) != 0 ||",
                         "(checksum_of({at, 0}) == 1 ||"),
    "plain_any_tcp_sum": ("packet.cc",
                          "!tcp_checksum_is_good(source, destination, segment))) {",
                          "segment.empty())) {"),
    "predict_any_flags": ("tcp_receive.cc",
                          "(header.flags & ~tcp_flag::psh) == tcp_flag::ack",
                          "header.has(tcp_flag::ack)"),
    "predict_resets": ("tcp_receive.cc",
                       "(header.flags & ~tcp_flag::psh) == tcp_flag::ack",
                       "(header.flags & ~(tcp_flag::psh | tcp_flag::rst)) == tcp_flag::ack"),
    "predict_any_seq": ("tcp_receive.cc", "header.seq == c.receive_next &&\n", "true &&\n"),
    "predict_any_ack": ("tcp_receive.cc", "header.ack == c.send_unacked &&", ""),
    "predict_old_stamps": ("tcp_receive.cc",
                           "is_older_stamp(header.options.timestamp, c.timestamp_recent)) &&",
                           "false) &&"),
    "predict_no_stamps": ("tcp_receive.cc",
                          "header.options.has_timestamp == c.uses_timestamps &&\n", "true &&\n"),
    "predict_window_was_closed": ("tcp_receive.cc", "c.send_window != 0 && ", ""),
    "predict_no_window": ("tcp_receive.cc",
                          "  c.send_window = std::uint32_t{header.window} << c.send_scale;\n"
                          "  c.send_window_max = std::max(c.send_window_max, c.send_window);\n"
                          "  c.send_edge = later(c.send_edge, header.ack + c.send_window);\n"
                          "  c.window_seq = header.seq;\n",
                          "  c.window_seq = header.seq;\n"),
    "predict_beyond_window": ("tcp_receive.cc",
                              "size <= c.receive_edge - c.receive_next &&\n", "true &&\n"),
    "predict_long_segment": ("tcp_receive.cc", "size <= c.receive_mss && ", ""),
    "predict_sacks": ("tcp_receive.cc", "header.options.sack_count == 0 && ", ""),
    "predict_congested": ("tcp_receive.cc", " && arrival.ecn != Ecn::congested", ""),
    "predict_in_flight": ("tcp_receive.cc", "c.sent.head == none && ", ""),
}


def mutated(name, folder):
    file, old, new = MUTANTS[name]
    with open(os.path.join(ROOT, "src/net", file), encoding="utf-8") as source:
        text = source.read()
    if text.count(old) != 1:
        sys.exit(f"mutants: {name}: the words are {text.count(old)} times in {file}, not once")
    path = os.path.join(folder, file)
    with open(path, "w", encoding="utf-8") as target:
        target.write(text.replace(old, new))
    return path


def objects(build, program):
    found = sorted(glob.glob(os.path.join(build, program + ".p", "*.o")))
    if not found:
        sys.exit(f"mutants: {program} is not built in {build}")
    return found


def build_program(build, folder, mutant, program, more, libraries):
    out = os.path.join(folder, os.path.basename(program))
    archives = [os.path.join(build, path) for path in
                (*more, "src/net/libnet.a", "src/base/libbase.a")]
    # The mutant comes first, so that the archive's own is not taken.
    subprocess.run([os.environ.get("CXX", "g++"), "-o", out, *objects(build, program), mutant,
                    *archives, *libraries, "-lfmt", "-lisal", "-lpthread"], check=True)
    return out


def fails(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=300, check=False).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def is_noticed(build, name):
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        source = mutated(name, folder)
        compiled = source[:-2] + "o"
        subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fno-rtti",
                        "-fno-exceptions", "-w", "-I" + os.path.join(ROOT, "src"), "-c", source,
                        "-o", compiled], check=True)
        simulation = build_program(build, folder, compiled, "tests/sim/net/tailrace_net_sim",
                                   ["tests/sim/net/libnet_sim.a"], [])
        if fails([simulation, "--from", "1", "--count", str(SEEDS)]):
            return "the simulation"
        scripts = build_program(build, folder, compiled, "tests/unit/net/net_test", [],
                                ["-lgtest_main", "-lgtest"])
        if fails([scripts, "--gtest_brief=1"]):
            return "the scripts and unit tests"
    return None


def main():
    build = os.path.abspath(sys.argv[1])
    missed = []
    for name in sys.argv[2:] or MUTANTS:
        by = is_noticed(build, name)
        print(f"{name}: " + (f"noticed by {by}" if by else "NOT noticed"), flush=True)
        if by is None:
            missed.append(name)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
