"""Where actorgrid differs from Ray, and which test holds it to that: the source of ``docs/reference/differences.md``.

python -m tests.differences > docs/reference/differences.md
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple


class Difference(NamedTuple):
    """One row: what Ray does, what actorgrid does, why, and the test (below ``tests/``) that shows the latter.

    ``fails``: tests of the contract that do not hold on Ray for this reason, as ``benchmarks/agreement.py`` found them.
    """

    ray: str
    ours: str
    why: str
    test: str
    fails: tuple[str, ...] = ()


HEAD: Final = """# Differences from Ray

What a program written for Ray 2.60 may notice. Each row has the test that holds actorgrid to it (below `tests/`; those
in `contract/` run on real processes and in the simulator). Everything else of Ray Core that has the same name is meant
to behave the same: where it does not, that is a bug. `benchmarks/agreement.py` runs the contract suite on Ray itself.

This page is made from `tests/differences.py`.
"""

SECTIONS: Final[dict[str, list[Difference]]] = {
    "Waiting, errors and limits": [
        Difference(
            "a request that can never be met hangs",
            "`InfeasibleResourcesError` at the call, naming request and capacity",
            "one machine does not grow: nobody will ever come to help",
            "contract/test_resources.py::test_refusal_names_request_and_capacity",
            fails=(
                "resources::TestInfeasible::test_task_is_refused_at_submission",
                "resources::TestInfeasible::test_actor_is_refused_at_submission",
                "resources::TestInfeasible::test_refusal_in_a_task_is_an_error_of_that_task",
                "resources::test_refusal_names_request_and_capacity",
            ),
        ),
        Difference(
            "a call that waits for itself through others waits for ever",
            "`DeadlockError` names the circle; `explain(ref)` says what a reference waits for",
            "the head sees every wait, so it can prove it",
            "contract/test_explain.py::test_actor_that_waits_for_itself_is_told_so_and_lives_on",
            fails=("concurrency_groups::test_deadlock_within_a_group_is_found_and_another_group_would_have_been_none",),
        ),
        Difference(
            "a task cannot be given a time limit",
            "`timeout=` and `run_timeout=`: `TaskTimeoutError`, and the work has really stopped",
            "a `get` that gives up leaves the work running",
            "contract/test_timeouts.py::test_run_timeout_does_not_count_the_time_in_the_queue",
            fails=("concurrency_groups::test_time_limit_of_a_run_does_not_count_the_wait_for_a_place",),
        ),
        Difference(
            "submission grows without bound",
            "`init(max_pending_tasks=…)`: it waits, or raises",
            "a loop that submits faster than workers work ends in memory",
            "contract/test_pending_tasks.py::test_there_are_never_more_than_that",
        ),
        Difference(
            "a class in `retry_exceptions` that raises when it is asked what it covers: the task fails with that",
            "it covers nothing, and the task fails with what it has raised",
            "the first error is the one to know of",
            "contract/test_task_retries.py::test_retry_exceptions_list_whose_class_raises_when_asked_covers_nothing",
            fails=("task_retries::test_retry_exceptions_list_whose_class_raises_when_asked_covers_nothing",),
        ),
        Difference(
            "an exception with a constructor of its own may be lost on the way",
            "it arrives as your class, with the remote traceback",
            "`except MyError` must work",
            "contract/test_errors.py::test_exception_whose_constructor_takes_other_arguments_arrives_as_its_class",
            fails=(
                "errors::test_exception_whose_constructor_takes_other_arguments_arrives_as_its_class",
                "errors::test_exception_with_keyword_only_arguments_arrives_as_its_class",
                "errors::test_exception_without_a_usable_str_or_repr_arrives",
                "errors::test_attributes_of_the_users_exception_can_be_read",
                "errors::test_exception_whose_attributes_all_raise_arrives_and_says_where",
            ),
        ),
        Difference(
            "any exception arrives whole",
            "above 1 MiB its class and the ends of its texts arrive",
            "an error must not fill the store, nor block a pipe",
            "contract/test_errors.py::test_exception_larger_than_a_frame_keeps_its_class_and_the_ends_of_its_text",
            fails=("errors::test_exception_larger_than_a_frame_keeps_its_class_and_the_ends_of_its_text",),
        ),
        Difference(
            "an error that nobody asks for is logged; `RAY_IGNORE_UNHANDLED_ERRORS=1` suppresses it",
            "the same on standard error, at most 100 from each process; `ACTORGRID_IGNORE_UNHANDLED_ERRORS=1`",
            "a flood of errors is not a log",
            "contract/test_unread_errors.py::test_error_whose_reference_goes_after_it_exists_is_said",
            fails=(
                "unread_errors::test_error_whose_reference_goes_before_it_exists_is_said",
                "unread_errors::test_error_whose_reference_goes_after_it_exists_is_said",
                "unread_errors::test_error_of_an_actor_method_is_said",
                "unread_errors::test_death_of_a_worker_is_said",
                "unread_errors::test_call_that_fails_for_its_argument_is_said_once",
                "unread_errors::test_call_with_several_results_is_said_once",
                "unread_errors::test_flood_of_errors_is_cut_off",
                "unread_errors::test_error_of_a_call_that_a_task_made_is_said_under_the_name_of_the_task",
            ),
        ),
        Difference(
            "a leaking worker stays",
            "`init(max_worker_memory=…)`: it is replaced between two tasks, free of charge",
            "libraries leak, and nobody is hurt by a fresh process",
            "proc/test_memory.py::test_worker_that_has_grown_is_replaced_between_two_tasks_free_of_charge",
        ),
        Difference(
            "what a task changes in its process (environment, folder, signal handlers, streams) later tasks find there",
            "it is put back before the next task, or the process is replaced",
            "innocent tasks run there",
            "contract/test_aftermath.py::test_environment_that_a_task_changes_is_put_back",
            fails=(
                "aftermath::test_environment_that_a_task_changes_is_put_back",
                "aftermath::test_environment_of_a_runtime_environment_is_what_is_put_back",
                "aftermath::test_variable_that_is_set_past_os_environ_is_put_back_for_programs_too",
                "aftermath::test_folder_mask_path_and_arguments_are_put_back",
                "aftermath::test_signals_and_timers_are_put_back",
                "aftermath::test_limit_that_a_task_lowers_is_put_back_or_its_process_goes",
                "aftermath::test_priority_that_a_task_lowers_is_put_back_or_its_process_goes",
                "aftermath::test_process_whose_standard_descriptors_a_task_has_closed_goes",
                "aftermath::test_stream_that_a_task_closes_is_opened_anew",
                "aftermath::test_stream_that_a_task_replaces_is_put_back",
                "aftermath::test_process_whose_descriptors_a_task_keeps_goes",
                "aftermath::test_process_whose_modules_a_task_has_unloaded_goes",
                "aftermath::test_exception_of_a_process_without_modules_arrives_as_text",
                "aftermath::test_functions_that_are_watched_are_what_they_were_to_everybody",
            ),
        ),
        Difference(
            "what a task prints appears on standard output",
            "on standard error",
            "the output of your program stays its own",
            "proc/test_output.py::test_print_of_a_task_has_name_and_pid_before_it",
        ),
        Difference(
            "what `get` raises has the notes of the error (`__notes__`), and its traceback shows them twice",
            "its `cause` has them; its text shows them once",
            "a traceback is read",
            "contract/test_errors.py::test_notes_are_those_of_the_cause",
            fails=("errors::test_notes_are_those_of_the_cause",),
        ),
        Difference(
            "an error of an argument shows the traceback of each task between",
            "it names the tasks that did not run for its sake, of long chains the ends",
            "a traceback of a hundred tasks is not read",
            "contract/test_errors.py::test_error_at_the_root_of_a_long_chain_names_the_ends_of_the_chain",
            fails=(
                "errors::test_error_of_an_argument_names_the_tasks_that_did_not_run_for_its_sake",
                "errors::test_error_at_the_root_of_a_long_chain_names_the_ends_of_the_chain",
            ),
        ),
        Difference(
            "a result that cannot be pickled is a `TypeError` with pickle's words",
            "it names the path to what could not be pickled",
            "'cannot pickle a lock' does not say which",
            ""
            ""
            ""
            ""
            "contract/test_errors.py::test_result_that_cannot_be_pickled_is_a_type_error_of_the_task_that_names_its_path",
            fails=("errors::test_result_that_cannot_be_pickled_is_a_type_error_of_the_task_that_names_its_path",),
        ),
        Difference(
            "an option with a bad value is refused when a call is made; some mistakes in `init` are `AssertionError`",
            "at `options()`; `ValueError`, with the nearest known name where one was misspelt",
            "a typing error is found where it stands",
            "contract/test_init.py::test_unknown_argument_of_init_is_a_runtime_error_that_names_it",
            fails=(
                "init::test_unknown_argument_of_init_is_a_runtime_error_that_names_it",
                "init::test_impossible_capacity_is_a_value_error",
                "logging::test_other_things_are_no_configuration",
                "arguments_checks::test_option_out_of_range_is_a_value_error",
                "streaming_bound::test_a_bound_is_positive_or_minus_one",
                "streaming_ends::test_an_item_that_cannot_be_pickled_ends_the_stream",
                "errors::test_exception_that_cannot_be_pickled_says_what_of_it_could_not",
            ),
        ),
        Difference(
            "the error of a worker that died names a log file",
            "it names the process, its signal or exit code, and the function",
            "that is what one looks for first",
            "contract/test_task_retries.py::test_dead_workers_pid_and_function_are_in_the_message",
            fails=(
                "task_retries::test_exit_code_of_a_dead_worker_is_in_the_message",
                "task_retries::test_signal_that_killed_a_worker_is_in_the_message",
                "task_retries::test_dead_workers_pid_and_function_are_in_the_message",
            ),
        ),
        Difference(
            "a remote function has no `__name__`",
            "it has, and the other attributes of its function",
            "other decorators look for them",
            "contract/test_tasks.py::test_decorated_function_keeps_name_and_docstring",
            fails=("tasks::test_decorated_function_keeps_name_and_docstring",),
        ),
        Difference(
            "an attribute that is set on a method of a handle is taken, and lost",
            "`AttributeError`",
            "the next look at the method makes another object",
            "contract/test_arguments_checks.py::test_method_of_a_handle_takes_no_attributes",
            fails=("arguments_checks::test_method_of_a_handle_takes_no_attributes",),
        ),
        Difference(
            "options of a method that there are not are a `TypeError` at `remote()`",
            "at `options()`, and it names those that there are",
            "that is the line with the mistake",
            "contract/test_arguments_checks.py::"
            "test_unknown_option_of_a_call_of_a_method_is_a_type_error_that_names_it",
        ),
        Difference(
            "`cancel` of a task in one long system call takes effect after some seconds; of one that waits for "
            "its argument it may hang",
            "at once",
            "who cancels wants the CPU",
            "contract/test_cancel.py::test_running_task_is_interrupted",
            fails=(
                "cancel::test_running_task_is_interrupted",
                "cancel::test_task_that_waits_for_an_argument_never_runs",
            ),
        ),
        Difference(
            "the error of a task that was cancelled while it ran is a `RayTaskError`, too",
            "it is a `TaskCancelledError`, whenever that was",
            "one cause, one error",
            "contract/test_cancel.py::test_running_task_is_interrupted",
        ),
        Difference(
            "the class of an error is called `RayTaskError(ValueError)`, and its text begins with `ray::f()`",
            "`TaskError(ValueError)`, which is the same class, and the text names function and process in words",
            "the brand is not ours",
            "contract/test_errors.py::test_task_error_and_ray_task_error_are_one_class",
        ),
    ],
    "Objects": [
        Difference(
            "a class whose `__module__` is no text can be sent",
            "`SerializationError`",
            "its code is found by that name",
            "contract/test_serializers.py::test_class_that_says_nonsense_of_its_module_is_told_as_one_that_does_not_pickle",
            fails=("serializers::test_class_that_says_nonsense_of_its_module_is_told_as_one_that_does_not_pickle",),
        ),
        Difference(
            "objects die with the worker that made them (`OwnerDiedError`)",
            "they belong to the head and outlive it; `OwnerDiedError` is never raised",
            "on one machine there is one owner that everybody depends on anyway",
            "contract/test_objects.py::test_object_made_by_a_worker_outlives_that_worker",
            fails=("actor_deaths::test_results_from_before_the_death_stay",),
        ),
        Difference(
            "what does not fit into memory and is in use lies in mapped files",
            "`ObjectStoreFullError` after 10 seconds, naming who reads what; what nobody reads goes to disk, as there",
            "a program that has become a hundred times slower is harder to find than an error",
            "contract/test_objects.py::test_object_store_full_of_objects_in_use_refuses_more",
            fails=(
                "objects::test_value_larger_than_the_object_store_is_refused",
                "objects::test_object_store_full_of_objects_in_use_refuses_more",
                "objects::test_result_that_finds_the_store_full_is_an_error_of_that_task",
            ),
        ),
        Difference(
            "spills to files that a crash may leave behind",
            "to one file without a name",
            "nothing can be left behind",
            "proc/test_spilling.py::test_file_has_no_name_and_no_other_user_may_open_it",
        ),
        Difference(
            "an object that occurs twice within one value may be two afterwards",
            "it stays one, as with pickle",
            "'is' must mean what it meant",
            "contract/test_get_wait_put.py::test_identity_within_one_object_is_kept",
            fails=("get_wait_put::test_identity_within_one_object_is_kept",),
        ),
        Difference(
            "a store is 75 MiB or more",
            "it may be as small as you like",
            "tests want small ones",
            "contract/test_spilling.py::test_get_in_order_backwards_and_again",
            fails=(
                "spilling::TestReading::*",
                "spilling::TestRoom::*",
                "spilling::TestNoRoom::*",
                "spilling::TestOptions::*",
                "spilling::TestResultsThatNobodyGets::*",
                "streaming_bound::test_what_was_not_read_is_given_back",
                "streaming_bound::test_items_that_are_not_read_may_go_to_disk",
                "spilling::test_random_programs_read_what_was_written_and_leave_nothing",
            ),
        ),
        Difference(
            "a reference that the program itself has pickled, and read again, makes `get` hang or the process crash",
            "it stays valid until the grid ends",
            "plain pickle is what libraries use",
            "contract/test_references.py::test_reference_pickled_by_the_program_stays_valid",
            fails=("references::test_reference_pickled_by_the_program_stays_valid",),
        ),
        Difference(
            "`ref.job_id()` is the job that made the object",
            "the job that asks: they differ where a detached actor hands something to another program",
            "an id tells which process made it, and for whom that has worked then nobody notes",
            "proc/test_persistent.py::test_what_a_detached_actor_does_for_others_is_of_the_job_that_made_it",
        ),
        Difference(
            "a reference has `task_id()`, `owner_address()` and `call_site()`, and can be made of bytes",
            "`AttributeError`, with what to use instead",
            "the grid owns objects, and none is without its reference",
            "contract/test_references.py::test_what_references_do_not_have_says_why",
            fails=(
                "references::test_what_references_do_not_have_says_why",
                "references::test_reference_cannot_be_made_of_bytes",
            ),
        ),
        Difference(
            "a `bytearray` arrives as `bytes`",
            "it stays one",
            "what is stored is what comes back",
            "contract/test_objects.py::test_bytearray_stays_one",
            fails=("objects::test_bytearray_stays_one",),
        ),
        Difference(
            "a class with `__slots__` that goes by value, as one of `__main__` does, has none where it arrives; what a "
            "task makes of it cannot be read by the program",
            "it has them, and it can",
            "`@dataclass(slots=True)` is what many write",
            "contract/test_objects.py::test_object_with_slots_of_a_class_that_goes_by_value_comes_back",
            fails=("objects::test_object_with_slots_of_a_class_that_goes_by_value_comes_back",),
        ),
        Difference(
            "`remote` takes functions that are written in Python, and classes",
            "functions that are not, too, such as `time.sleep`",
            "they can run elsewhere as well as others",
            "contract/test_tasks.py::test_function_that_a_simulation_replaces_may_be_remote_as_any_other",
            fails=("tasks::test_function_that_a_simulation_replaces_may_be_remote_as_any_other",),
        ),
        Difference(
            "functions of `__main__` cannot use others with `functools.cache`, nor be annotated with a `NewType`, "
            "`ParamSpec`, `TypeVarTuple` or alias of `__main__`; nor, before Python 3.12, can its classes have a "
            "`cached_property`",
            "they can",
            "people write such programs",
            "contract/test_objects.py::test_function_takes_the_types_along_that_it_is_annotated_with",
            fails=(
                "objects::test_function_takes_the_types_along_that_it_is_annotated_with",
                "objects::test_function_with_a_cache_that_goes_by_value_calls_itself",
                "objects::test_class_with_cached_properties_goes_by_value",
            ),
        ),
    ],
    "Actors": [
        Difference(
            "an actor dies with the worker that created it",
            "with its driver, or with its last handle; the worker may go",
            "whoever holds a handle can go on",
            "contract/test_actors_sync.py::test_actor_that_creates_an_actor_and_hands_it_out",
        ),
        Difference(
            "a restarted actor has forgotten everything",
            "`checkpoint=`: it goes on where its callers left it",
            "see [make a program survive crashes](../how-to/make-a-program-survive-crashes.md)",
            "contract/test_checkpoints.py::test_state_after_a_death_is_what_callers_have_seen",
        ),
        Difference(
            "a call to a concurrency group that does not exist kills the actor",
            "`ValueError` at the call",
            "a typing error costs no state",
            "contract/test_concurrency_groups.py::test_method_of_a_group_that_the_class_does_not_have",
            fails=(
                "concurrency_groups::TestRefusals::test_method_of_a_group_that_the_class_does_not_have",
                "concurrency_groups::TestRefusals::test_call_to_a_group_that_the_class_does_not_have",
                "concurrency_groups::test_handle_by_name_knows_the_groups",
                "concurrency_groups::test_handle_from_elsewhere_knows_the_groups",
            ),
        ),
        Difference(
            "no priorities",
            "`priority=` on tasks and actors: smaller numbers start first",
            "one queue serves all of a machine, so the order is ours to give",
            "core/test_rules.py::test_smaller_priority_starts_first",
        ),
        Difference(
            "the message of a death names the node, and what may have been the reason",
            "it names the process, its signal or exit code, and the call that ran",
            "that is what one looks for first",
            "contract/test_actor_deaths.py::test_death_message_names_pid_signal_and_call",
            fails=(
                "actor_deaths::test_death_message_names_pid_signal_and_call",
                "actor_deaths::test_death_message_names_the_exit_code",
            ),
        ),
        Difference(
            "a call made just after `kill` may still run",
            "no call that is made after `kill` runs",
            "both go through one queue",
            "contract/test_actor_deaths.py::test_kill_ends_an_actor",
            fails=(
                "actor_deaths::test_kill_ends_an_actor",
                "actor_deaths::test_kill_does_not_restart",
            ),
        ),
        Difference(
            "a call made just after `kill(actor, no_restart=False)` runs in the old process, or is "
            "`ActorUnavailableError`",
            "it waits for the next process",
            "both go through one queue",
            "contract/test_actor_deaths.py::test_call_made_after_a_kill_that_restarts_is_for_the_next_process",
            fails=("actor_deaths::test_call_made_after_a_kill_that_restarts_is_for_the_next_process",),
        ),
        Difference(
            "`kill(actor, no_restart=False)` of an actor that has not begun takes none of its restarts",
            "it takes one, as it does later",
            "whether the actor has begun is a matter of luck",
            "contract/test_actor_deaths.py::test_kill_of_an_actor_that_has_not_begun_is_charged",
            fails=("actor_deaths::test_kill_of_an_actor_that_has_not_begun_is_charged",),
        ),
        Difference(
            "`exit_actor()` in a call of a threaded actor ends the calls that run beside it",
            "those are run to their end, and its own, too, if it catches what ends it",
            "what has begun well has a result to give",
            "contract/test_actor_deaths.py::test_calls_of_a_threaded_actor_that_run_are_over_before_it_ends",
            fails=("actor_deaths::test_calls_of_a_threaded_actor_that_run_are_over_before_it_ends",),
        ),
        Difference(
            "a result that an actor returned just before it died may be lost with it",
            "it is kept",
            "it lies where others see it before the next call begins",
            "contract/test_actor_restarts.py::test_restart_makes_running_and_queued_calls_unavailable_and_state_anew",
            fails=("actor_restarts::test_restart_makes_running_and_queued_calls_unavailable_and_state_anew",),
        ),
        Difference(
            "a call that is cancelled while it waits for its turn ends when that has come",
            "it ends at once",
            "the head holds the queue",
            "contract/test_cancel.py::test_queued_call_of_an_actor_is_cancelled",
            fails=(
                "cancel::test_queued_call_of_an_actor_is_cancelled",
                "concurrency_groups::test_call_that_waits_for_a_place_can_be_cancelled",
            ),
        ),
        Difference(
            "`get` in an async actor is logged as a warning, once, whether it waits or not; of `wait` nothing is said",
            "a `get` or `wait` that holds up the event loop is said once, on standard error",
            "what blocks is what matters",
            "contract/test_actors_async.py::test_event_loop_that_is_held_up_is_said_once",
            fails=(
                "actors_async::test_event_loop_that_is_held_up_is_said_once",
                "actors_async::test_wait_that_holds_up_an_event_loop_is_said_too",
                "actors_async::test_event_loop_that_is_not_held_up_is_no_news",
                "actors_async::test_a_variable_keeps_that_to_itself",
                "actors_async_begin_and_end::test_constructor_of_an_async_actor_may_wait_and_nobody_is_held_up",
            ),
        ),
        Difference(
            "a coroutine that a plain method of an async actor returns, as decorated ones do, is an error",
            "it is awaited",
            "a decorator should not change what a method is",
            "contract/test_actors_async.py::test_coroutine_that_a_plain_method_of_an_async_actor_returns_is_awaited",
            fails=("actors_async::test_coroutine_that_a_plain_method_of_an_async_actor_returns_is_awaited",),
        ),
        Difference(
            "`sys.exit` in a task in the background of an async actor: its calls never end",
            "the actor dies with that exit code, as by `sys.exit` in a call",
            "every call ends",
            "contract/test_actors_async_begin_and_end.py::test_sys_exit_in_the_background_is_the_death_of_an_async_actor",
            fails=("actors_async_begin_and_end::test_sys_exit_in_the_background_is_the_death_of_an_async_actor",),
        ),
        Difference(
            "each concurrency group of an async actor has an event loop of its own, on a thread of its own",
            "all have one: what blocks it holds up the calls of every group",
            "what the methods of an async actor share needs no locks",
            "contract/test_concurrency_groups.py::test_groups_of_an_async_actor_share_one_event_loop",
            fails=("concurrency_groups::test_groups_of_an_async_actor_share_one_event_loop",),
        ),
        Difference(
            "groups of the wrong kind are found when the actor starts, or not at all",
            "`TypeError`, `ValueError` at the decorator",
            "a typing error is found where it stands",
            "contract/test_concurrency_groups.py::test_bad_value",
            fails=(
                "concurrency_groups::TestRefusals::test_wrong_type",
                "concurrency_groups::TestRefusals::test_bad_value",
                "concurrency_groups::TestRefusals::test_groups_at_use",
            ),
        ),
    ],
    "Generators": [
        Difference(
            "a generator runs as far ahead of its reader as it likes; `_generator_backpressure_num_objects` bounds it",
            "at most 64 unread items, and -1 for any number; whoever waits for `completed()` lets it run on",
            "a fast generator with a slow reader ends in memory",
            "contract/test_streaming_bound.py::test_without_a_bound_of_its_own_it_is_64_items",
            fails=(
                "streaming_bound::test_waiting_for_the_end_lifts_the_bound",
                "streaming_bound::test_awaiting_the_end_lifts_the_bound",
                "streaming_bound::test_a_task_that_needs_the_end_lifts_the_bound",
                "streaming_bound::test_whoever_wants_to_know_the_end_elsewhere_lifts_the_bound",
            ),
        ),
        Difference(
            "one that waits for its reader keeps its CPU",
            "lends it out, as any wait does",
            "the reader may need it",
            "contract/test_streaming_bound.py::test_a_generator_that_waits_for_its_reader_lends_its_cpu",
            fails=(
                "streaming_bound::test_a_generator_that_waits_for_its_reader_lends_its_cpu",
                "streaming_bound::test_a_task_that_waits_for_the_actor_whose_stream_it_reads_is_not_stuck",
            ),
        ),
        Difference(
            "one that nobody reads any more runs to its end",
            "it stops where it next yields, unless somebody holds its `completed()`",
            "nobody will ever see what it makes",
            "contract/test_streaming_ends.py::test_a_generator_that_is_dropped_stops",
            fails=(
                "streaming_ends::test_a_generator_that_is_dropped_stops",
                "streaming_ends::test_a_stream_ends_when_its_reader_dies",
            ),
        ),
        Difference(
            "`close()` raises `NotImplementedError`",
            "it stops the generator",
            "Python's generators have it",
            "contract/test_streaming_ends.py::test_close_stops_a_stream_where_it_yields",
            fails=(
                "streaming_ends::test_close_stops_a_stream_where_it_yields",
                "streaming_ends::test_close_runs_the_finally_clauses_and_yields_no_more",
                "streaming_ends::test_a_method_that_is_closed_leaves_its_actor_well",
                "streaming_ends::test_an_async_generator_is_closed_on_its_loop",
                "smaller_names::test_generator_that_is_read_by_a_coroutine_is_closed_by_it",
            ),
        ),
        Difference(
            "`yield from range(3)` fails after the first item: ranges and lists have no `send`",
            "it yields them all",
            "it is a generator as any other",
            "contract/test_streaming.py::test_generator_may_yield_from_whatever_can_be_iterated_over",
            fails=("streaming::test_generator_may_yield_from_whatever_can_be_iterated_over",),
        ),
        Difference(
            "of a generator with `num_returns=2` that yields more, the first two are the results, and an error "
            "is logged (also of one that a plain function returns, with one result: its first item)",
            "the results are that error",
            "as for a function that returns three values",
            "contract/test_streaming.py::test_of_n_items_those_that_lack_are_the_error",
            fails=(
                "streaming::test_of_n_items_those_that_lack_are_the_error",
                "streaming::test_one_item_of_a_generator_may_be_its_result",
                "streaming::test_generator_that_a_plain_function_makes_is_read_where_it_runs",
            ),
        ),
        Difference(
            "a generator that yields less when it is run again ends there",
            "`StreamingGeneratorReplayInconsistentError`",
            "what was read before was of another run",
            "contract/test_streaming_ends.py::test_a_replay_that_yields_less_is_an_error",
            fails=("streaming_ends::test_a_replay_that_yields_less_is_an_error",),
        ),
        Difference(
            "whoever waits for an item when `shutdown` is called gets an `AttributeError` from within",
            "`HeadDiedError`",
            "every wait ends, with a reason",
            "contract/test_streaming_ends.py::test_the_end_of_the_grid_ends_a_wait_for_the_next_item",
            fails=("streaming_ends::test_the_end_of_the_grid_ends_a_wait_for_the_next_item",),
        ),
        Difference(
            "`num_returns='dynamic'` is not for methods of async actors, and warns in the decorator alone",
            "all generators can be so; `DeprecationWarning` wherever it is said",
            "it is the old way",
            "contract/test_streaming.py::test_dynamic_warns_that_it_is_the_old_way",
            fails=(
                "streaming::TestDynamic::test_methods_of_each_kind_can",
                "streaming::test_dynamic_warns_that_it_is_the_old_way",
            ),
        ),
    ],
    "Where things run": [
        Difference(
            "a placement group that can never be waits for ever",
            "`InfeasibleResourcesError` at the call",
            "as above",
            "contract/test_placement_groups.py::test_group_that_can_never_be_is_refused_at_once",
            fails=("placement_groups::test_group_that_can_never_be_is_refused_at_once",),
        ),
        Difference(
            "an unknown node, or labels that no machine has, fail at `get`, or wait",
            "`TaskUnschedulableError`, `ActorUnschedulableError` at the call",
            "as above",
            "contract/test_scheduling.py::test_affinity_to_a_node_that_is_not_there_is_refused_at_the_call",
            fails=(
                "scheduling::test_affinity_to_a_node_that_is_not_there_is_refused_at_the_call",
                "scheduling::test_labels_that_do_not_match_are_refused_at_the_call",
                "scheduling::test_bundles_of_a_group_may_ask_for_labels",
                "scheduling::test_kind_of_accelerator_is_a_resource_of_the_grid",
            ),
        ),
        Difference(
            "calls of an actor whose placement group is gone raise `ActorDiedError` or `ActorPlacementGroupRemoved`",
            "the latter, which is the former, too",
            "one cause, one error",
            "contract/test_placement_groups.py::test_removing_stops_what_runs_and_what_waits",
        ),
        Difference(
            "`runtime_env`: folders are copied, for `init` alone; `pip`, `conda`, containers",
            "folders are used where they lie, for tasks and actors, too; what installs something is a `ValueError`",
            "they are on this machine already, and a copy would have to be cleared away after a crash",
            "contract/test_runtime_env.py::test_folder_is_replaced_and_what_is_not_named_is_inherited",
            fails=(
                "runtime_env_modules::TestFolders::*",
                "runtime_env_modules::TestModules::*",
                "runtime_env::TestInheritance::test_folder_is_replaced_and_what_is_not_named_is_inherited",
                "runtime_env::TestJob::test_every_task_and_actor_inherits_from_init",
                "runtime_env::TestJob::test_folder_that_is_not_there_is_refused_before_anything_starts",
                "runtime_env_modules::test_module_of_the_environment_goes_before_a_preloaded_one",
                "runtime_env::TestContext::test_task_knows_its_environment",
            ),
        ),
        Difference(
            "`JobConfig(default_actor_lifetime='detached')` holds for all actors of a program",
            "`ValueError`: each actor says so itself",
            "what outlives its program should be seen where it is made",
            "api/test_session.py::test_configuration_of_a_job_refuses",
        ),
        Difference(
            "`runtime_env={'config': …}` says how long an installation may take, and when",
            "it is checked, and has no effect",
            "nothing is installed; `run_timeout` of a task includes its setup",
            "api/test_environments.py::test_how_long_a_setup_may_take_is_accepted_without_effect",
        ),
        Difference(
            "an unknown key of `runtime_env` is a warning",
            "`ValueError` with the nearest known name",
            "it would not do what you meant",
            "api/test_environments.py::test_unknown_key_is_refused_with_a_hint",
        ),
        Difference(
            "`ray start --head`: ports for clients and a dashboard",
            "`actorgrid start`: a socket in a folder that is yours alone",
            "a grid is one user's, on one machine",
            "proc/test_persistent_door.py::test_folder_that_others_may_enter_is_refused_on_both_sides",
        ),
        Difference(
            "what `logging_config` adds to the root logger stays after `shutdown`, and with the next `init` each line "
            "is said twice",
            "`shutdown` puts level and handlers back",
            "nothing is left behind",
            "contract/test_logging.py::test_driver_logs_like_its_workers_until_the_grid_ends",
            fails=(
                "logging::test_driver_logs_like_its_workers_until_the_grid_ends",
                "logging::test_environment_variable_stands_in_for_the_argument",
            ),
        ),
        Difference(
            "`init()` joins a cluster that runs, if there is one",
            "it starts a grid of its own, unless `ACTORGRID_ADDRESS` says where to join",
            "a program should not behave differently because of what else runs",
            "proc/test_persistent_door.py::test_address_comes_from_the_environment",
            fails=("multiprocessing::test_pool_joins_the_grid_that_the_environment_names",),
        ),
        Difference(
            "`breakpoint()` in a task waits for a debugger that is attached from outside",
            "`NotImplementedError`; in the simulator it is Python's own debugger",
            "there is nothing in a worker to type at",
            "contract/test_errors.py::test_breakpoint_says_that_there_is_no_terminal_and_where_there_is_one",
            fails=(
                "errors::test_breakpoint_says_that_there_is_no_terminal_and_where_there_is_one",
                "errors::test_another_debugger_may_take_the_place_of_pythons",
            ),
        ),
        Difference(
            "a reference or handle of a cluster that was shut down is an error of whatever function is given it next",
            "an error that says that its grid has ended (`ValueError`; of handles `ActorHandleNotFoundError`)",
            "the cause, and not what comes of it",
            "contract/test_init.py::test_reference_of_a_grid_that_has_ended_is_refused_and_starts_none",
            fails=(
                "init::test_reference_of_a_grid_that_has_ended_is_refused_and_starts_none",
                "init::test_handle_of_a_grid_that_has_ended_is_refused_and_starts_none",
            ),
        ),
        Difference(
            "the task of a constructor is called `A.__init__`; of an actor with a name, `name:A.__init__`",
            "`A`; its function is `A.__init__` for both",
            "errors and lists say that an `A` starts, or does not",
            "contract/test_runtime_context.py::test_task_of_a_constructor_is_called_as_its_class",
            fails=("runtime_context::test_task_of_a_constructor_is_called_as_its_class",),
        ),
        Difference(
            "`shutdown()` in a task takes its worker from the cluster, and the task is lost",
            "it does nothing",
            "a grid is ended by who has started it",
            "contract/test_runtime_context.py::test_shutdown_in_a_task_ends_nothing",
            fails=("runtime_context::test_shutdown_in_a_task_ends_nothing",),
        ),
        Difference(
            "`available_resources()` lags behind by some tenths of a second",
            "what was submitted before is in the answer",
            "the head knows",
            "contract/test_resources.py::test_actor_with_cpus_holds_them_while_it_lives",
            fails=(
                "resources::test_actor_with_cpus_holds_them_while_it_lives",
                "resources::test_used_up_resource_is_absent",
                "resources::test_custom_resource_is_held_and_given_back",
                "resources::test_actor_with_any_resource_holds_one_cpu_unless_told",
                "placement_groups::test_group_takes_what_it_holds_and_gives_it_back",
                "placement_groups::test_group_waits_until_all_its_bundles_fit",
            ),
        ),
        Difference(
            "what runs or waits in a placement group that is removed may wait for ever",
            "`TaskPlacementGroupRemoved`, `ActorPlacementGroupRemoved` at once, naming the group",
            "every wait ends",
            "contract/test_placement_groups.py::test_removing_stops_what_runs_and_what_waits",
            fails=(
                "placement_groups::test_removing_stops_what_runs_and_what_waits",
                "placement_groups::test_task_that_was_stopped_is_not_tried_again",
                "placement_groups::test_what_is_submitted_to_a_removed_group_fails",
                "placement_groups::test_group_that_waits_can_be_removed",
            ),
        ),
        Difference(
            "a second placement group of one name is a `RaySystemError`; one of an earlier cluster is not known",
            "`ValueError` for both, naming the group",
            "it is a mistake of the caller",
            "contract/test_placement_groups.py::test_name_finds_a_group_and_is_taken_once",
            fails=(
                "placement_groups::test_name_finds_a_group_and_is_taken_once",
                "placement_groups::test_group_of_an_earlier_grid_is_refused",
            ),
        ),
        Difference(
            "the table of placement groups tells how long each took to be scheduled",
            "it tells what is free in each bundle",
            "one machine schedules at once",
            "contract/test_placement_groups.py::test_table_tells_of_each_group_in_each_state",
            fails=(
                "placement_groups::test_table_tells_of_each_group_in_each_state",
                "placement_groups::test_bundle_is_used_by_what_names_it_alone",
                "placement_groups::test_actor_restarts_in_its_group",
            ),
        ),
        Difference(
            "what fits into no bundle is a `ValueError`",
            "`InfeasibleResourcesError`, which is one, with the bundle",
            "as above",
            "contract/test_placement_groups.py::test_what_fits_into_no_bundle_is_refused_at_the_call",
            fails=(
                "placement_groups::test_what_fits_into_no_bundle_is_refused_at_the_call",
                "placement_groups::test_default_actor_is_refused_by_a_group_without_cpus",
                "placement_groups::test_captured_child_that_fits_into_no_bundle_is_refused_in_its_caller",
            ),
        ),
        Difference(
            "`worker_process_setup_hook` is for `init` alone, and a name that leads nowhere is passed over",
            "for tasks and actors, too; one that fails is a `RuntimeEnvSetupError` with its traceback",
            "what was to be set up was meant",
            "contract/test_runtime_env_hooks.py::test_hook_that_raises_is_a_setup_error_with_its_cause_and_traceback",
            fails=(
                "runtime_env_hooks::TestHooks::*",
                "runtime_env::TestContext::test_environment_of_a_task_can_be_given_to_another_one",
                "runtime_env::TestContext::test_text_of_it_is_json_with_the_name_of_the_hook",
                "runtime_env::TestJob::test_job_that_cannot_be_set_up_is_an_error_of_its_tasks",
                "serializers::TestRegistered::test_hook_may_register_it_everywhere",
            ),
        ),
        Difference(
            "`${NAME}` in `env_vars` is what the node's agent has",
            "what the caller has, environment of its own included",
            "the caller knows no agent",
            "contract/test_runtime_env.py::test_reference_to_a_variable_of_the_parent_is_what_the_parent_has",
            fails=(
                "runtime_env::TestVariables::test_reference_to_a_variable_is_its_value_where_the_call_is_made",
                "runtime_env::TestInheritance::test_reference_to_a_variable_of_the_parent_is_what_the_parent_has",
                "runtime_env::TestJob::test_task_adds_to_what_it_inherits",
            ),
        ),
        Difference(
            "a machine has the label `ray.io/node-id`",
            "and the same as `actorgrid.io/node-id`",
            "programs of both find the machine",
            "contract/test_scheduling.py::test_labels_of_the_machine_are_those_of_init_and_its_id",
            fails=("scheduling::test_labels_of_the_machine_are_those_of_init_and_its_id",),
        ),
        Difference(
            "`init(labels=)` takes names in `ray.io/`, which `ray start --labels` refuses",
            "they are refused, and those in `actorgrid.io/`",
            "they are for what the grid says of the machine itself",
            "contract/test_scheduling.py::test_names_of_the_labels_of_a_grid_of_its_own_are_refused",
            fails=("scheduling::test_names_of_the_labels_of_a_grid_of_its_own_are_refused",),
        ),
        Difference(
            "accelerators of a dozen kinds are looked for, and listed",
            "GPUs",
            "they are the ones on a single machine",
            "contract/test_scheduling.py::test_each_actor_sees_its_own_devices",
            fails=(
                "scheduling::test_each_actor_sees_its_own_devices",
                "scheduling::test_parts_of_a_device_see_the_whole_of_it",
                "scheduling::test_task_sees_its_devices_and_the_next_one_in_its_place_does_not",
                "scheduling::test_driver_has_no_devices",
                "scheduling::test_names_of_devices_are_those_that_the_driver_may_use",
            ),
        ),
        Difference(
            "a variable for each kind of device (`RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES`, …) leaves its "
            "variable alone",
            "`ACTORGRID_NOSET_VISIBLE_DEVICES` leaves all of them",
            "one name to remember",
            "contract/test_scheduling.py::test_variables_of_devices_can_be_left_alone",
            fails=("scheduling::test_variables_of_devices_can_be_left_alone",),
        ),
        Difference(
            "`init` has a dashboard, control groups, a logger of its own, and settings for clusters",
            "accepted without effect if of the right type: `dashboard_host`, `configure_logging`, `logging_level`, "
            "`logging_format`, `cgroup_path`, `system_reserved_cpu`, `system_reserved_memory`, `proxy_server_url`, "
            "`_system_config`, `_temp_dir` and others with an underscore, not `_memory` and `_node_name`; with a "
            "warning: `include_dashboard=True`, `dashboard_port`, `enable_resource_isolation=True`",
            "they are about how Ray is built, and no result depends on them",
            "api/test_session.py::test_what_would_be_missed_is_said",
        ),
        Difference(
            "modules are imported by each worker when it needs them",
            "`init(preload=[…])`: once, before workers are forked",
            "importing numpy takes longer than most tasks",
            "contract/test_init.py::test_preloaded_modules_are_there_before_any_import",
            fails=("init::test_preloaded_modules_are_there_before_any_import",),
        ),
    ],
    "Pools, queues and serializers": [
        Difference(
            "what makes no sense as an argument of `ActorPool`, `Queue`, `as_completed`, `Pool` or a serializer "
            "fails later, or is passed over",
            "`TypeError`, `ValueError` at the call",
            "a typing error is found where it stands",
            "contract/test_util.py::test_what_is_no_call_is_refused_and_costs_no_actor",
            fails=(
                "util::TestActorPool::test_what_is_no_call_is_refused_and_costs_no_actor",
                "util::TestAsTheyCome::test_what_makes_no_sense_is_refused_at_the_call",
                "util::TestQueue::test_what_makes_no_sense_is_refused",
                "multiprocessing::test_numbers_that_make_no_sense_are_refused",
                "multiprocessing::test_chunks_of_a_size_that_makes_no_sense_are_refused",
                "multiprocessing::test_initializer_that_cannot_be_called_is_refused",
                "multiprocessing::test_address_of_no_grid_is_refused",
                "serializers::test_bad_serializers_are_a_type_error",
                "serializers::test_bad_depth_is_refused",
            ),
        ),
        Difference(
            "an `ActorPool` whose actors have all died has no more results",
            "`RuntimeError` says how many values nobody will work on",
            "they would be lost without a word",
            "contract/test_util.py::test_pool_whose_last_actor_has_died_says_what_is_left",
            fails=(
                "util::TestActorPool::test_pool_whose_last_actor_has_died_says_what_is_left",
                "util::TestActorPool::test_get_next_is_in_the_order_of_submission",
                "util::TestActorPool::test_call_that_is_given_up_leaves_the_next_one_to_get_next",
            ),
        ),
        Difference(
            "`map` of an `ActorPool` is a generator: after an error there is nothing more to read",
            "an iterator that goes on",
            "one bad value costs no other",
            "contract/test_util.py::test_map_goes_on_after_an_error",
            fails=(
                "util::TestActorPool::test_map_goes_on_after_an_error",
                "util::TestActorPool::test_map_goes_on_after_the_death_of_an_actor",
                "util::TestActorPool::test_map_whose_last_actor_has_died_ends",
            ),
        ),
        Difference(
            "an `ActorPool` takes calls with `num_returns=2`, and the first `get_next` is a `TypeError` of `wait`",
            "their results come together, as a list",
            "the caller has named them, so they can be got",
            "contract/test_util.py::test_results_of_a_call_that_has_several_come_together",
            fails=("util::TestActorPool::test_results_of_a_call_that_has_several_come_together",),
        ),
        Difference(
            "`timeout=0` of a `Queue` is over before anything is looked at: `Full`, `Empty`, whatever is there",
            "it takes what is there, and puts where there is room",
            "as `queue.Queue` does",
            "contract/test_util.py::test_without_patience_it_takes_what_is_there_and_puts_where_room_is",
            fails=("util::TestQueue::test_without_patience_it_takes_what_is_there_and_puts_where_room_is",),
        ),
        Difference(
            "a `get` of a `Queue` that is given up (Ctrl-C, `wait_for`) takes an item all the same, and loses it",
            "it takes none: what was on its way to nobody is put back in front",
            "no item is lost",
            "contract/test_util.py::test_what_was_given_up_takes_and_puts_nothing",
            fails=(
                "util::TestQueue::test_what_was_given_up_takes_and_puts_nothing",
                "util::TestQueue::test_ctrl_c_in_a_get_costs_no_item",
                "util::TestQueue::test_an_answer_that_nobody_wants_is_put_back_in_front",
                "util::TestQueue::test_get_that_is_given_up_while_it_takes_an_item_costs_no_item",
            ),
        ),
        Difference(
            "a thousand that wait for a `Queue` stop it: nobody's call gets through any more",
            "any number may wait",
            "a queue of tasks that wait for work is what it is for",
            "contract/test_util.py::test_many_may_wait_and_a_put_still_gets_through",
            fails=(
                "util::TestQueue::test_many_may_wait_and_a_put_still_gets_through",
                "util::TestQueue::test_many_may_wait_for_room_and_a_get_still_gets_through",
            ),
        ),
        Difference(
            "`multiprocessing.Pool`: calls go to its processes in turn, whether these are busy or not",
            "whichever is free takes the next one",
            "a call that takes long holds up nothing but itself",
            "contract/test_multiprocessing.py::test_call_is_over_when_all_its_chunks_are_even_if_one_has_failed",
            fails=("multiprocessing::test_call_is_over_when_all_its_chunks_are_even_if_one_has_failed",),
        ),
        Difference(
            "`multiprocessing.Pool`: what `imap` has not begun when the pool is closed is lost (`ActorDiedError` as "
            "results); an iterable that raises is an error before the results of what it gave",
            "`join` waits until everything is begun and over; the error has its place after these results",
            "as the standard library does",
            "contract/test_multiprocessing.py::test_join_takes_the_items_that_imap_has_not_taken",
            fails=(
                "multiprocessing::test_join_takes_the_items_that_imap_has_not_taken",
                "multiprocessing::test_join_waits_for_items_whose_results_nobody_reads",
                "multiprocessing::test_join_takes_items_as_calls_end",
                "multiprocessing::test_join_does_not_wait_for_items_of_a_pool_that_was_terminated",
                "multiprocessing::test_item_that_cannot_be_taken_is_an_error_after_the_results_before_it",
            ),
        ),
        Difference(
            "`multiprocessing.Pool`: `initializer` can set no global names for functions of `__main__`; one that "
            "raises ends its actor, and the calls that this one gets; what a call does to its process stays",
            "these functions find them; each call raises that, until it succeeds; what a call does is undone after it",
            "the first is what initializers are for; the rest is as with all tasks",
            "contract/test_multiprocessing.py::test_global_names_are_those_of_functions_that_go_by_value",
            fails=(
                "multiprocessing::TestWhatAnInitializerDoes::test_global_names_are_those_of_functions_that_go_by_value",
                "multiprocessing::TestWhatAnInitializerDoes::test_global_names_are_those_of_functions_among_the_items",
                "multiprocessing::TestWhatAnInitializerDoes::test_what_a_chunk_does_is_undone_and_no_more_than_that",
                "multiprocessing::TestWhatAnInitializerDoes::test_error_is_that_of_each_call_until_it_succeeds",
            ),
        ),
        Difference(
            "`multiprocessing.Pool` cannot be pickled: `AttributeError` about something within",
            "`NotImplementedError`: pools cannot be passed between processes",
            "as the standard library does",
            "contract/test_multiprocessing.py::test_pool_cannot_be_sent_to_a_process",
            fails=("multiprocessing::test_pool_cannot_be_sent_to_a_process",),
        ),
        Difference(
            "`multiprocessing.Pool`: the processes are actors, at most as many as there are CPUs; one that dies takes "
            "with it what it had; `terminate` leaves `ActorDiedError`; `imap` hands errors out as values; "
            "callbacks are given a `PoolTaskError`",
            "tasks, which take turns, and are repeated when a process dies; `RuntimeError`; an error of one value of "
            "`imap` is raised in its place; callbacks are given the error itself",
            "a pool has no state to lose",
            "contract/test_multiprocessing.py::test_dead_process_costs_only_its_chunk",
            fails=(
                "multiprocessing::test_dead_process_costs_only_its_chunk",
                "multiprocessing::test_terminate_ends_what_is_not_over",
                "multiprocessing::test_errors_are_raised_where_the_result_is_asked_for",
                "multiprocessing::test_callbacks_get_what_comes_of_it",
                "multiprocessing::test_pool_may_have_more_processes_than_there_are_cpus",
                "multiprocessing::TestErrorsOfImap::test_error_costs_no_other_value_of_its_chunk",
                "multiprocessing::TestErrorsOfImap::test_error_says_where_it_was_raised",
                "multiprocessing::TestErrorsOfImap::test_what_cannot_be_sent_costs_its_chunk_and_no_other",
                "multiprocessing::TestErrorsOfImap::test_dead_process_is_an_error_for_each_value_of_its_chunk",
                "multiprocessing::TestErrorsOfImap::test_chunk_is_called_again_where_errors_are_to_be_tried_again",
            ),
        ),
        Difference(
            "an argument that cannot be pickled is a `TypeError` after a long text on standard output; a "
            "serializer's own error is raised as it is",
            "`SerializationError`, which is a `TypeError`, with the path to what could not be pickled",
            "the reason in one line",
            "contract/test_serializers.py::test_what_a_serializer_makes_must_be_sendable",
            fails=(
                "serializers::TestRegistered::test_subclass_is_another_class",
                "serializers::TestRegistered::test_serializer_that_raises_is_an_error_of_the_call",
                "serializers::TestRegistered::test_what_a_serializer_makes_must_be_sendable",
                "serializers::test_what_is_no_longer_registered_cannot_be_sent",
                "serializers::test_value_that_can_be_pickled_is_found_good",
            ),
        ),
        Difference(
            "`as_completed(timeout=…)` waits on when the time is over",
            "`TimeoutError`",
            "that is what a time limit is for",
            "contract/test_util.py::test_nothing_in_time_is_a_timeout",
            fails=("util::TestAsTheyCome::test_nothing_in_time_is_a_timeout",),
        ),
        Difference(
            "`inspect_serializability` prints a page, looks at variables and methods, and finds one culprit",
            "it prints a line for each culprit, also those in containers",
            "the reason in one line",
            "contract/test_serializers.py::test_every_culprit_is_found",
            fails=(
                "serializers::test_variable_of_a_closure_is_found_by_its_name",
                "serializers::test_every_culprit_is_found",
                "serializers::test_culprit_in_two_places_is_found_once",
                "serializers::test_deeper_than_depth_the_culprit_is_what_was_reached",
                "serializers::test_object_that_refuses_is_the_culprit_itself",
                "serializers::test_failures_show_what_they_are",
            ),
        ),
    ],
    "Graphs, collective operations, state and metrics": [
        Difference(
            "the actors of a compiled graph do ordinary calls beside it, on another thread",
            "they wait until `teardown()`, unless the actor is threaded",
            "a plain actor runs one thing at a time",
            "contract/test_compiled_dag_ends.py::test_after_teardown_the_actors_do_other_things",
        ),
        Difference(
            "a value between two steps may be larger than the buffer, or a view that the next execution overwrites",
            "`ValueError` naming `_buffer_size_bytes` (64 MiB, which costs memory as it is used); copies",
            "what you keep stays what it was",
            "contract/test_compiled_dag.py::test_large_arrays_pass_and_what_is_kept_of_them_stays",
            fails=(
                "compiled_dag::TestErrors::test_what_is_too_large_is_refused",
                "compiled_dag::TestErrors::test_a_result_that_is_too_large_is_an_error",
            ),
        ),
        Difference(
            "a collective operation whose member has died hangs, or ends in a time-out",
            "`ActorDiedError` with the rank, at once",
            "every wait ends",
            "contract/test_collective.py::test_a_members_death_is_told_to_those_who_wait_and_to_those_who_come",
        ),
        Difference(
            "the state functions lag a second behind, and need the dashboard",
            "what was submitted before the call is in the answer; nothing else runs for it",
            "the head knows",
            "contract/test_state.py::test_what_was_submitted_before_is_in_the_answer",
        ),
        Difference(
            "a gauge has a value for each worker",
            "one value: what any process has set last",
            "workers come and go",
            "sim/test_observing.py::test_gauge_that_two_actors_set_is_what_either_of_them_set",
        ),
        Difference(
            "a metric with a bad name is discarded with a warning; unknown tags are ignored",
            "`ValueError` at the call",
            "a metric that never appears is found too late",
            "api/test_metrics.py::test_bad_input_is_refused_at_the_call",
            fails=(
                "metrics::test_name_of_another_metric_is_refused",
                "metrics::test_name_of_another_metric_is_refused_though_neither_was_measured",
            ),
        ),
        Difference(
            "metrics come from a port of each node",
            "from `util.metrics.prometheus_text()`",
            "nothing listens",
            "contract/test_metrics.py::test_text_is_what_prometheus_reads",
        ),
        Difference(
            "`execute(_ray_cache_refs=True)` keeps the references that a graph has made, with their steps",
            "`ValueError`",
            "they would keep their objects; a graph may return what is needed",
            "contract/test_dag.py::test_references_are_not_kept_with_steps",
            fails=("dag::TestFunctions::test_references_are_not_kept_with_steps",),
        ),
        Difference(
            "`execute` of a graph that is not compiled is a `RayDeprecationWarning`",
            "no warning",
            "it stays: the simulator runs compiled graphs so, too",
            "contract/test_dag.py::test_steps_are_given_the_results_of_others",
        ),
        Difference(
            "steps of a graph are checked when it is executed, and a missing input is a `KeyError`",
            "where they are bound; `TypeError`, `ValueError` naming what is missing",
            "a typing error is found where it stands",
            "contract/test_dag.py::test_arguments_are_checked_where_they_are_bound",
            fails=(
                "dag::TestFunctions::test_arguments_are_checked_where_they_are_bound",
                "dag::TestFunctions::test_a_step_cannot_be_sent",
                "dag::TestActors::test_unknown_methods_are_refused",
                "dag::TestInput::test_of_several_arguments_each_is_a_step",
                "dag::TestInput::test_a_graph_has_the_input_it_is_executed_with",
                "dag::TestInput::test_it_cannot_be_iterated_over",
                "dag::TestOutput::test_anything_but_steps_is_refused",
            ),
        ),
        Difference(
            "a graph may be some hundred steps deep",
            "as deep as memory allows",
            "recursion is ours to avoid",
            "contract/test_dag.py::test_a_chain_may_be_longer_than_the_stack",
            fails=("dag::TestFunctions::test_a_chain_may_be_longer_than_the_stack",),
        ),
        Difference(
            "a method of a bound class is one step, whatever it returns",
            "one step for each of its `num_returns`, as that of a handle",
            "both are methods",
            "contract/test_dag.py::test_a_method_with_several_results_is_several_steps",
            fails=("dag::TestActors::test_a_method_with_several_results_is_several_steps",),
        ),
        Difference(
            "a metric that is sent to a task forgets its default tags",
            "it keeps them",
            "it is the same metric",
            "contract/test_metrics.py::test_metric_travels_with_its_tags_and_is_the_same_elsewhere",
            fails=("metrics::test_metric_travels_with_its_tags_and_is_the_same_elsewhere",),
        ),
        Difference(
            "`timeline()` has bars of a call's phases, some seconds later",
            "one bar for a call, with its state, at once; those that run have theirs, too",
            "it is what one looks for",
            "contract/test_timeline.py::test_every_call_that_has_run_has_a_bar",
            fails=(
                "timeline::test_every_call_that_has_run_has_a_bar",
                "timeline::test_call_that_failed_and_call_that_runs_look_different",
                "timeline::test_calls_side_by_side_have_rows_of_their_own",
            ),
        ),
        Difference(
            "a result of a compiled graph can be read once; so can a list of them",
            "as often as you like",
            "a reference is a reference",
            "contract/test_compiled_dag_ends.py::test_a_timeout_does_not_count",
            fails=(
                "compiled_dag_ends::TestReferences::test_a_timeout_does_not_count",
                "compiled_dag_ends::TestReferences::test_as_many_results_are_kept_as_may_be",
                "compiled_dag_ends::TestEnds::test_the_death_of_an_actor_is_told_to_all_who_wait_and_all_who_come",
            ),
        ),
        Difference(
            "bad options of a compiled graph, asynchronous actors, an actor of two graphs: found later, in other "
            "words, or never",
            "`TypeError`, `ValueError` when it is compiled",
            "a typing error is found where it stands",
            "contract/test_compiled_dag_ends.py::test_an_actor_works_for_one_graph_at_a_time",
            fails=("compiled_dag_ends::TestRefusals::*",),
        ),
        Difference(
            "steps of a compiled graph take values by position, and each leads to an output",
            "by keyword, too, and a step may be there for its effect",
            "they do in a graph that is not compiled",
            "contract/test_compiled_dag.py::test_branches_meet",
            fails=(
                "compiled_dag::TestResults::test_branches_meet",
                "compiled_dag::TestErrors::test_a_wrong_number_of_results_is_an_error",
            ),
        ),
        Difference(
            "references pass through a compiled graph",
            "`TypeError`; those that are bound arrive as values",
            "memory between two steps belongs to nobody who counts",
            "contract/test_compiled_dag.py::test_references_cannot_pass",
            fails=(
                "compiled_dag::TestErrors::test_references_cannot_pass",
                "compiled_dag::TestResults::test_references_that_are_bound_are_values",
            ),
        ),
        Difference(
            "an error in a compiled graph names `__ray_call__`",
            "it names the step",
            "that is what one looks for",
            "contract/test_compiled_dag.py::test_an_error_comes_out_and_the_graph_goes_on",
            fails=(
                "compiled_dag::TestErrors::test_an_error_comes_out_and_the_graph_goes_on",
                "compiled_dag::TestErrors::test_what_cannot_be_pickled_is_refused",
            ),
        ),
        Difference(
            "a step that is among the outputs of a compiled graph twice hangs; if one of several outputs is an error, "
            "reading any of them raises it",
            "each output is what that step has made",
            "an output is a reference of its own",
            "contract/test_compiled_dag.py::test_of_several_outputs_only_those_fail_that_need_it",
            fails=(
                "compiled_dag::TestResults::test_several_outputs_are_a_list_of_references",
                "compiled_dag::TestErrors::test_of_several_outputs_only_those_fail_that_need_it",
            ),
        ),
        Difference(
            "a compiled graph is used by one thread, or by the event loop in which it was compiled; else it hangs",
            "by any thread, and by any event loop",
            "nothing hangs",
            "contract/test_compiled_dag_ends.py::test_threads_may_execute_and_get_at_once",
            fails=(
                "compiled_dag_ends::TestReferences::test_threads_may_execute_and_get_at_once",
                "compiled_dag_ends::TestEventLoops::*",
            ),
        ),
        Difference(
            "a task that waits for a compiled graph keeps its CPUs, also from what a step of the graph needs",
            "it lends them, as it does in any `get`",
            "nothing hangs",
            "contract/test_compiled_dag.py::test_a_task_that_waits_lends_its_cpus_to_what_a_step_needs",
            fails=("compiled_dag::TestResults::test_a_task_that_waits_lends_its_cpus_to_what_a_step_needs",),
        ),
        Difference(
            "an actor that restarts leaves its compiled graph in an error about channels; other misuse is told in "
            "other words, or `_submit_timeout` does not end it",
            "`ActorDiedError`, and what to do; `RayChannelTimeoutError` in time",
            "an error says what happened",
            "contract/test_compiled_dag_ends.py::test_an_actor_that_restarts_has_died_for_its_graph",
            fails=(
                "compiled_dag_ends::TestEnds::test_an_actor_that_restarts_has_died_for_its_graph",
                "compiled_dag_ends::TestEnds::test_after_teardown_nothing_comes",
                "compiled_dag::TestResults::test_parts_of_the_input",
                "compiled_dag::TestResults::test_arguments_that_no_step_takes_are_refused",
                "compiled_dag::TestResults::test_argument_by_position_of_a_graph_that_takes_names_is_refused",
                "compiled_dag_ends::TestReferences::test_of_a_list_all_come_or_none",
                "compiled_dag_ends::TestReferences::test_they_cannot_be_sent_or_mixed",
                "compiled_dag_ends::TestReferences::test_waiting_for_what_nobody_wants_ends_in_time",
            ),
        ),
        Difference(
            "`get` in a callback of `ref.future()` hangs",
            "`RuntimeError` at once",
            "the thread that would bring the value is the one that runs callbacks",
            "contract/test_attacks.py::test_get_in_a_callback_of_a_future_is_a_runtime_error_and_no_hang",
            fails=("attacks::test_get_in_a_callback_of_a_future_is_a_runtime_error_and_no_hang",),
        ),
        Difference(
            "a child that a task forks and that comes back from it answers in its parent's place, or hangs it; bytes "
            "that a task writes to the sockets of its worker, and `sys.exit` in an asynchronous method, hang who waits",
            "the child ends and the parent answers; `WorkerCrashedError`; `ActorDiedError`",
            "nothing hangs",
            "contract/test_attacks.py::test_child_that_a_task_forks_may_return_and_only_the_parent_answers",
            fails=(
                "attacks::test_child_that_a_task_forks_may_return_and_only_the_parent_answers",
                "attacks::test_child_that_a_task_forks_may_raise_and_only_the_parent_answers",
                "attacks::test_bytes_written_to_the_descriptors_of_a_worker_cost_that_worker_only",
                "attacks::test_sys_exit_in_an_async_method_is_the_death_of_the_actor",
            ),
        ),
        Difference(
            "`__ray_shutdown__` of an actor that nobody refers to any more cannot wait for a task",
            "it may use the grid, for thirty seconds",
            "last words are code as any other",
            "contract/test_attacks.py::test_last_words_of_an_actor_may_use_the_grid",
            fails=("attacks::test_last_words_of_an_actor_may_use_the_grid",),
        ),
        Difference(
            "a call on a handle of an earlier cluster is a plain `Exception`",
            "`ActorHandleNotFoundError`; `TypeError` where it is sent",
            "it says what happened",
            "contract/test_attacks.py::test_handle_of_an_earlier_grid_never_reaches_an_actor_of_this_one",
            fails=("attacks::test_handle_of_an_earlier_grid_never_reaches_an_actor_of_this_one",),
        ),
        Difference(
            "whoever gets a reference that was pickled in an earlier session may wait for ever",
            "`ValueError` where it is unpickled: it belongs to a grid that this process is not part of",
            "every wait ends, with a reason",
            "contract/test_attacks.py::test_pickled_reference_is_good_in_its_own_session_alone",
            fails=("attacks::test_pickled_reference_is_good_in_its_own_session_alone",),
        ),
        Difference(
            "`enable_task_events=False` keeps calls out of lists and timelines",
            "it has no effect",
            "the head knows of all calls anyway",
            "api/test_options.py::test_trivial_values_of_what_is_not_there_yet",
        ),
    ],
    "What there is not": [
        Difference(
            "of equal lines that several workers print within five seconds one is shown, and how often it came",
            "every line is shown, with who has printed it",
            "the line that differs in a number is the one that is looked for",
            "proc/test_output.py::test_output_is_there_before_the_driver_ends",
        ),
        Difference(
            "what programs write that a task has started carries the name of that task",
            "the name of what printed last in that process",
            "both write into one pipe, and only Python says who it is",
            "proc/test_output.py::test_output_of_a_program_has_the_name_of_what_printed_last_in_its_process",
        ),
        Difference(
            "states have label selectors, when a node came and went, and `metadata` and `runtime_env` of a job; call "
            "sites, if a variable asks for them",
            "those columns are missing; `call_site` is always None",
            "the head does not know them, or there is one machine",
            "api/test_names_of_ray.py::test_columns_of_states_that_there_are_not",
        ),
        Difference(
            "identifiers can be made of digits, of numbers, or of chance (`ActorID.from_hex`, `JobID.from_int`, "
            "`UniqueID.from_random`, `ObjectRef.nil`, …)",
            "the grid alone makes them; their types are for annotations and `isinstance`, and say so if asked for more",
            "whatever takes an identifier takes its digits, as text",
            "api/test_names_of_ray.py::test_types_of_identifiers_can_stand_in_annotations_and_in_isinstance",
        ),
        Difference(
            "generators can be asked by hand (`_next_sync`, `_next_async`); `experimental.internal_kv` keeps values",
            "`next_ready`, `completed` and `wait` tell of generators, and a `util.Variable` keeps a value under a name",
            "these names are internal to Ray",
            "api/test_names_of_ray.py::test_generators_have_no_names_of_the_inside",
        ),
        Difference(
            "handles of actors are listed among objects, and each attempt of a task has a row",
            "objects alone; a task has one row, that of its last attempt",
            "an actor is in the list of actors",
            "contract/test_state.py::test_task_that_was_tried_again_has_one_row",
        ),
        Difference(
            "the state functions forget the oldest tasks",
            "of floods of tasks that finish they keep a sample, and count all",
            "to remember one costs a fortieth of what the head does for a task that does nothing",
            "core/test_inventory.py::test_of_a_flood_some_are_remembered_and_all_are_counted",
        ),
        Difference(
            "`ray list`, `get`, `summary`, `memory`, `stack`, `timeline`, `logs`, `job`, `kill-actor` and others",
            "`actorgrid start`, `stop` and `status`",
            "who joins with `init('auto')` has them as functions: `util.state`, `timeline`, `explain`, `kill`",
            "cli/test_main.py::test_command_that_there_is_not_is_refused_with_those_that_there_are",
        ),
        Difference(
            "variables begin with `RAY_`, and hundreds of settings have one",
            "with `ACTORGRID_`; [these](options.md#environment-variables) are read, and no others",
            "a machine may have both",
            "api/test_session.py::test_variables_of_ray_are_those_of_ray",
        ),
        Difference(
            "`__version__`, and `ray_version` of what `init` returns, are the version of Ray",
            "of actorgrid",
            "it is not Ray",
            "api/test_names_of_ray.py::test_version_is_that_of_actorgrid",
        ),
        Difference(
            "names of tasks, actors, groups, namespaces and resources may have control characters",
            "`ValueError` at the call",
            "lists, errors and prefixes of output show them to a terminal",
            "api/test_options.py::"
            "test_names_have_no_control_characters_which_would_act_on_the_terminal_that_shows_them",
        ),
        Difference(
            "control characters in the names of functions and classes, and in the `__repr__` of an actor, are shown",
            "they are spelled out (`\\x1b`)",
            "as above; what tasks print is theirs, and shown as it is",
            "contract/test_state_of_actors.py::test_what_an_actor_is_shown_as_does_nothing_to_a_terminal",
        ),
        Difference(
            "`_actor_generator_backpressure_num_objects` is shared by all generators that run in an actor",
            "it is a bound for each; `ValueError` for actors that run several calls at a time",
            "several generators have no count together",
            "api/test_options.py::test_bound_of_an_actor_is_for_one_call_at_a_time",
        ),
        Difference(
            "`object_store_memory=` of an actor, `_num_objects_per_yield=`, `tensor_transport=`",
            "`ValueError`, with what to use instead",
            "an option without its effect is a trap",
            "api/test_options.py::test_option_that_there_is_not_says_what_there_is_instead",
        ),
        Difference(
            "collective operations go through `nccl`, unless told otherwise, and GPUs are waited for (`synchronize`)",
            "through the memory of this machine, whichever backend is named; `nccl` is a `ValueError`",
            "arrays are in memory",
            "contract/test_collective.py::test_rays_names_of_backends_are_known",
        ),
        Difference(
            "a `RuntimeEnv` tells of what is installed and downloaded for it (`has_pip()`, `conda_config()`, "
            "`working_dir_uri()`, `plugins()`, …), and exceptions have a form of their own (`to_bytes`, `from_bytes`)",
            "there are no such methods",
            "nothing is installed, and exceptions are pickled",
            "api/test_names_of_ray.py::test_environments_do_not_tell_of_what_is_not_installed",
        ),
        Difference(
            "steps of a graph can be walked over and replaced (`apply_recursive`, `apply_functional`, "
            "`traverse_and_apply`), and tell how Ray has built them (`get_other_args_to_resolve`, `type_hint`, "
            "`get_object_refs_from_last_execute`, `clear_cache`); `ray.dag` has `DAGContext`, `plot`, "
            "`CollectiveOutputNode`, `DAGOperationFuture`, `GPUFuture` and the names of its keys",
            "there are none of these",
            "they are for those who build on Ray; a graph is the program that has built it",
            "contract/test_dag.py::test_steps_do_not_tell_how_they_are_built",
            fails=("dag::test_steps_do_not_tell_how_they_are_built",),
        ),
        Difference(
            "`visualize()` of a compiled graph, `with_tensor_transport()` of its steps",
            "`NotImplementedError`; there is no such method",
            "a graph is the program that has built it, and arrays go through memory",
            "contract/test_compiled_dag.py::test_a_graph_is_not_drawn_and_tensors_have_one_way_to_go",
            fails=("compiled_dag::TestResults::test_a_graph_is_not_drawn_and_tensors_have_one_way_to_go",),
        ),
        Difference(
            "resources of a placement group are listed among those of the cluster",
            "in its table alone",
            "they are no other resources than those of the machine",
            "contract/test_placement_groups.py::test_resources_of_a_group_are_in_its_table_and_not_among_those_of_the_grid",
            fails=("placement_groups::test_resources_of_a_group_are_in_its_table_and_not_among_those_of_the_grid",),
        ),
        Difference(
            "where steps take the whole input of a graph, it has one argument, once it is compiled",
            "any number, and each step is given all of them",
            "it is so in a graph that is not compiled",
            "contract/test_compiled_dag.py::test_what_takes_the_whole_input_takes_all_arguments_there_are",
            fails=("compiled_dag::TestResults::test_what_takes_the_whole_input_takes_all_arguments_there_are",),
        ),
        Difference(
            "`value[0]` of a graph's input is the first item of its only argument; once compiled, that argument itself",
            "the first item, compiled or not",
            "one program, one meaning",
            "contract/test_compiled_dag.py::test_first_item_of_the_only_argument",
            fails=("compiled_dag::TestResults::test_first_item_of_the_only_argument",),
        ),
        Difference(
            "`value[-1]` of a compiled graph's input counts for no argument: each execution with one is refused",
            "it is the last of any number of them",
            "it is so in a graph that is not compiled",
            "contract/test_compiled_dag.py::test_of_a_graph_that_takes_the_last_argument_any_number_is_taken",
            fails=("compiled_dag::TestResults::test_of_a_graph_that_takes_the_last_argument_any_number_is_taken",),
        ),
    ],
}


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, rows in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| Ray | actorgrid | Why | Test |\n|---|---|---|---|\n")
        parts += [f"| {row.ray} | {row.ours} | {row.why} | `{row.test}` |\n" for row in rows]
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
