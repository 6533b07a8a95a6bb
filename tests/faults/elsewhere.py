"""Where the rows of the catalogue are tested that are no case on a shared grid, and those that nothing here can be.

A row is a name from the catalogue of faults: HD head, DD driver, FD descriptors and limits, SG signals and shutdown, LO
load, MS memory, WD workers, OR order, SC security, and so on.
"""

from __future__ import annotations

from typing import Final

from tests.faults.catalogue import Elsewhere

DEATHS: Final = "tests/proc/test_deaths.py::test_"
END: Final = "tests/proc/test_end_of_driver.py::test_"
SIGNALS: Final = "tests/proc/test_signals.py::test_"
DESCRIPTORS: Final = "tests/proc/test_descriptors.py::test_"
LIMITS: Final = "tests/proc/test_limits.py::test_"
SECURITY: Final = "tests/proc/test_security.py::test_"
PERSISTENT: Final = "tests/proc/test_persistent.py::test_"
DOOR: Final = "tests/proc/test_persistent_door.py::test_"
LIFE: Final = "tests/proc/test_lifecycles.py::test_"
LARGE: Final = "tests/contract/test_large.py::test_"
SPILLING: Final = "tests/proc/test_spilling.py::test_"

ELSEWHERE: Final = [
    Elsewhere("WD08", "dies after its result was written", "tests/runtime/test_outbox.py::"
              "test_unsent_results_can_be_read_by_the_launcher"),
    Elsewhere("WD08", "finished result", "tests/contract/test_task_retries.py::"
              "test_finished_result_survives_the_crash_of_its_worker"),
    Elsewhere("WD11", "dies while it starts", "tests/sim/test_faults.py::"
              "test_worker_that_fails_to_start_costs_a_task_nothing"),
    Elsewhere("WD16", "memory", "tests/proc/test_memory.py::test_kill_by_the_system_is_named"),
    Elsewhere("HD01", "idle, busy, starting", DEATHS
              + "grid_dies_wholly_whether_it_is_idle_or_busy_or_starts_workers"),
    Elsewhere("HD01", "waits", DEATHS + "death_of_the_grid_ends_every_wait_with_head_died_error"),
    Elsewhere("HD01", "processes", DEATHS + "workers_and_their_programs_go_with_the_grid"),
    Elsewhere("HD02", "with launcher", DEATHS + "driver_head_and_launcher_killed_together_leave_no_worker"),
    Elsewhere("HD04", "stopped", SIGNALS + "stopped_head_goes_on_where_it_was_and_kills_nobody"),
    Elsewhere("HD05", "fails", SIGNALS + "head_that_fails_says_so_to_whoever_waits_and_everything_ends"),
    Elsewhere("HD07", "another at the address", PERSISTENT
              + "program_of_a_grid_that_is_dead_is_told_though_another_one_has_its_address"),
    Elsewhere("HD08", "socket of a dead one", PERSISTENT + "socket_that_a_dead_grid_has_left_is_in_nobodys_way"),
    Elsewhere("DD01", "killed", END + "driver_is_ended_by_a_signal"),
    Elsewhere("DD02", "exit", END + "driver_calls_os_exit"),
    Elsewhere("DD02", "crash", END + "driver_crashes"),
    Elsewhere("DD04", "calls in a child", "tests/proc/test_forks.py::"
              "test_call_in_a_forked_child_is_a_runtime_error"),
    Elsewhere("DD04", "end of a child", "tests/proc/test_forks.py::"
              "test_end_of_a_forked_child_leaves_the_grid_alone"),
    Elsewhere("DD05", "closes everything", DESCRIPTORS
              + "driver_that_closes_all_descriptors_is_told_so_and_may_start_anew"),
    Elsewhere("DD07", "at exit", END
              + "handlers_at_exit_may_use_the_grid_and_threads_that_go_on_hold_nothing_up"),
    Elsewhere("DD07", "too late", END + "program_that_is_shutting_down_starts_no_grid_any_more"),
    Elsewhere("DD08", "killed again and again", PERSISTENT
              + "programs_that_are_killed_one_after_the_other_cost_a_survivor_nothing_and_leave_nothing"),
    Elsewhere("DD08", "a hundred times", PERSISTENT + "hundred_killed_programs_leave_the_memory_of_the_head_as_it_was"),
    Elsewhere("DD10", "stopped", END + "stopped_driver_keeps_its_grid"),
    Elsewhere("SE14", "bytes", LARGE + "bytes_of_more_than_two_and_four_gibibytes_come_and_go"),
    Elsewhere("SE14", "4.5 GiB", LARGE + "more_than_four_gibibytes_in_one_value"),
    Elsewhere("MS01", "small or read-only", DESCRIPTORS + "shared_memory_does_not_need_the_folder_of_the_system"),
    Elsewhere("MS02", "full", DESCRIPTORS + "shared_memory_does_not_need_the_folder_of_the_system"),
    Elsewhere("MS04", "disk full", SPILLING + "disk_that_is_full_fails_the_put_alone_and_loses_nothing"),
    Elsewhere("MS05", "damaged", SPILLING + "damaged_file_loses_the_object_and_never_gives_wrong_data"),
    Elsewhere("MS10", "the whole group killed", END + "whole_group_that_is_killed_leaves_no_process_and_no_byte"),
    Elsewhere("MS13", "all in use", "tests/contract/test_spilling.py::TestNoRoom::"
              "test_everything_in_use_is_an_error_that_names_who_reads_what"),
    Elsewhere("MS13", "result", "tests/contract/test_spilling.py::TestNoRoom::"
              "test_error_of_a_result_that_finds_no_room_names_the_actor_that_reads"),
    Elsewhere("MS13", "and on", "tests/contract/test_spilling.py::TestNoRoom::"
              "test_object_for_which_there_is_no_room_can_be_read_later"),
    Elsewhere("MS07", "size of files", DESCRIPTORS
              + "limit_of_the_size_of_files_bounds_the_store_with_a_typed_error"),
    Elsewhere("FD04", "one descriptor for many objects", "tests/runtime/test_arenas.py::"
              "test_few_segments_for_much_memory"),
    Elsewhere("FD05", "processes", LIMITS + "grid_that_may_have_fewer_workers_than_cpus_works_with_those"),
    Elsewhere("FD05", "at respawn", LIMITS + "worker_that_cannot_be_replaced_leaves_the_others_at_work"),
    Elsewhere("FD05", "none at start", LIMITS + "grid_that_cannot_have_its_own_processes_says_so"),
    Elsewhere("FD07", "long folder", DESCRIPTORS + "folder_for_temporary_files_may_be_anything"),
    Elsewhere("FD08", "no folder", DESCRIPTORS + "folder_for_temporary_files_may_be_anything"),
    Elsewhere("FD11", "quota", "tests/runtime/test_cgroups.py::test_grid_counts_the_cpus_that_its_group_may_use"),
    Elsewhere("FD11", "garbage", "tests/proc/test_memory.py::test_garbage_limits_nothing"),
    Elsewhere("SG01", "in get", END + "driver_is_interrupted_in_the_middle_of_get"),
    Elsewhere("SG01", "and on", END + "interrupted_get_leaves_the_grid_usable"),
    Elsewhere("SG02", "at every opcode", "tests/runtime/test_interrupts.py::"
              "test_interrupt_at_every_opcode_leaves_the_grid_whole"),
    Elsewhere("SG08", "churn", LIFE + "descriptors_and_threads_do_not_grow_from_grid_to_grid"),
    Elsewhere("SG10", "handlers", LIFE + "signal_handlers_of_the_program_stay"),
    Elsewhere("SG10", "siginterrupt", LIFE
              + "signals_that_break_off_system_calls_of_the_program_break_none_of_the_grid"),
    Elsewhere("SG10", "ignored", SIGNALS
              + "program_that_ignores_the_ends_of_its_children_has_a_grid_all_the_same"),
    Elsewhere("SG11", "thread", LIFE + "grid_started_from_a_thread"),
    Elsewhere("SG11", "event loop", LIFE + "grid_used_only_inside_an_event_loop"),
    Elsewhere("SG13", "clock", "tests/sim/test_faults.py::"
              "test_wall_clock_that_jumps_moves_no_time_limit_and_no_pause"),
    Elsewhere("SG14", "stray", SIGNALS + "stray_signals_neither_end_nor_stop_the_grid"),
    Elsewhere("UM11", "pickled reference", "tests/contract/test_attacks.py::"
              "test_pickled_reference_is_good_in_its_own_session_alone"),
    Elsewhere("UM11", "handle of another session", "tests/contract/test_attacks.py::"
              "test_handle_of_an_earlier_grid_never_reaches_an_actor_of_this_one"),
    Elsewhere("OR02", "order of each caller", "tests/contract/test_actors_sync.py::"
              "test_calls_of_one_caller_run_in_order"),
    Elsewhere("OR04", "late result", "tests/core/test_rules.py::"
              "test_result_of_an_attempt_that_is_no_longer_current_is_dropped"),
    Elsewhere("OR04", "stopped worker", "tests/proc/test_stopped.py::"
              "test_stopped_worker_is_reported_killed_and_its_task_run_again"),
    Elsewhere("LO01", "million tasks", LARGE + "million_tasks"),
    Elsewhere("LO02", "too many actors", LIMITS + "actor_that_finds_no_process_says_what_is_needed"),
    Elsewhere("LO05", "memory", "tests/proc/test_memory.py::test_grid_goes_on_after_that"),
    Elsewhere("LO07", "chain", LARGE + "chain_of_ten_thousand_tasks"),
    Elsewhere("LO07", "fan", LARGE + "ten_thousand_references_as_arguments"),
    Elsewhere("LO08", "back-pressure", "tests/contract/test_pending_tasks.py::"
              "test_there_are_never_more_than_that"),
    Elsewhere("SC01", "no socket", SECURITY + "nothing_listens_and_no_socket_has_a_name"),
    Elsewhere("SC01", "of a persistent grid", DOOR + "real_process_of_another_user_is_refused"),
    Elsewhere("SC02", "no file", SECURITY + "nothing_has_a_name_in_the_file_system"),
    Elsewhere("SC04", "no name", SECURITY + "shared_memory_has_no_name_and_is_not_inherited"),
    Elsewhere("SC05", "persistent grid", DOOR
              + "user_id_that_stands_for_everybody_outside_of_a_container_is_nobodys"),
    Elsewhere("SC07", "head", SECURITY + "only_workers_and_the_driver_unpickle"),
    Elsewhere("SC08", "no port", SECURITY + "nothing_listens_and_no_socket_has_a_name"),
    Elsewhere("SC14", "no shell", SECURITY + "no_source_starts_a_shell_or_evaluates_text"),
    Elsewhere("SC22", "folder", DOOR + "folder_of_another_user_is_refused"),
    Elsewhere("SC22", "both ends", DOOR + "process_of_another_user_is_refused"),
    Elsewhere("SC20", "no port", SECURITY + "nothing_listens_and_no_socket_has_a_name"),
]  # fmt: skip

_NO_DASHBOARD: Final = "nothing here speaks HTTP yet"

#: Rows, or parts of rows, for which there can be no test here, and why.
OUT: Final = {
    "SE02-os-exit": "os._exit in a __reduce__ that the driver calls is the end of the driver, as anywhere in its code",
    "WD10": "no lock is shared between processes",
    "MS17": "macOS, which is untested",
    "FT04": "needs a device; workers do not descend from the driver, so that what it has loaded is not theirs",
    "UM16": "an uninterruptible sleep cannot be brought about without a file system of one's own",
    "LO04": "nothing judges a process by the time it takes: there are no heartbeats",
    "LO10": "takes an hour: benchmarks/chaos.py --only soak",
    "SC10": _NO_DASHBOARD,
    "SC11": _NO_DASHBOARD,
    "SC13": _NO_DASHBOARD,
    "SC16": _NO_DASHBOARD,
    "SC17": _NO_DASHBOARD,
    "SC19": _NO_DASHBOARD,
    "SC23": "there are no secrets: no token, no key",
}

_ROWS: Final = """
WD01 WD02 WD04 WD05 WD07 WD08 WD10 WD11 WD13 WD14 WD16 WD17 WD19 WD20 WD22 HD01 HD02 HD04 HD05 HD07 HD08 DD01 DD02
DD04 DD05 DD07 DD08 DD10 SE01 SE02 SE04 SE05 SE07 SE08 SE10 SE11 SE13 SE14 SE16 SE17 SE19 SE20 SE22 SE23 MS01 MS02
MS04 MS05 MS07 MS08 MS10 MS11 MS13 MS14 MS16 MS17 FD01 FD02 FD04 FD05 FD07 FD08 FD10 FD11 FD13 SG01 SG02 SG04 SG05
SG07 SG08 SG10 SG11 SG13 SG14 FT01 FT02 FT04 FT05 FT07 FT08 FT10 FT11 UM01 UM02 UM04 UM05 UM07 UM08 UM10 UM11 UM13
UM14 UM16 UM17 OR01 OR02 OR04 OR05 OR07 OR08 CA01 CA02 CA04 CA05 CA07 CA08 LO01 LO02 LO04 LO05 LO07 LO08 LO10 SC01
SC02 SC04 SC05 SC07 SC08 SC10 SC11 SC13 SC14 SC16 SC17 SC19 SC20 SC22 SC23
"""
#: All rows there are.
ROWS: Final = tuple(_ROWS.split())
