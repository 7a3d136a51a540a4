"""What every lake does, whatever it is made of.

Each test runs on every implementation of ``harness.lake_implementations``: the embedded store, the lakeFS backend over
HTTP on the test server, and a real server where ``LAKEFS_TEST_ENDPOINT`` names one. A test of one implementation alone
says so, with the reason.

=====================================================  ==============================================================
situation                                              test
=====================================================  ==============================================================
new branch sees source without copying                 test_refs: test_a_new_branch_sees_its_source,
                                                       test_a_new_branch_and_a_merge_copy_no_object
duplicate branch; branch and tag of one name           test_refs: test_duplicates_and_collisions
invalid names                                          test_refs: test_invalid_names
tag outlives branch                                    test_refs: test_a_tag_outlives_its_branch_and_never_moves
default branch stays                                   test_refs: test_the_default_branch_stays
protected main                                         test_refs: test_main_changes_by_merges_only
staged visible on the branch, not on ``branch@``       test_staging: test_staged_is_visible_on_the_branch_...
isolation of two branches                              test_staging: test_branches_are_isolated
delete absent                                          test_staging: test_deleting_what_is_not_there_succeeds
more than 1,000 deletes                                test_staging: test_more_than_a_thousand_deletes_in_one_call
put and delete before a commit                         test_staging: test_put_then_delete_before_a_commit_...
discard of all, a path, a prefix                       test_staging: test_discard_all_a_path_a_prefix
paths of unicode, space, %, +, ?, 1,024 bytes          test_objects: test_odd_paths
paths of 1,025 bytes                                   test_objects: test_paths_that_are_none
zero bytes; byte ranges, out of range                  test_objects: test_zero_bytes, test_byte_ranges
if_absent race                                         test_several_writers: test_if_absent_has_one_winner
2,501 objects in order, after, delimiter               test_listing
metadata, parents and log round-trip                   test_commits: test_message_metadata_parents_time, test_log
empty commit and allow_empty                           test_commits: test_nothing_staged_is_no_commit_unless_...
identical re-put is NoChanges                          test_commits: test_the_same_again_is_no_change
changed metadata alone is a change                     test_commits: test_other_metadata_is_a_change
read at an old commit after overwrite and delete       test_commits: test_old_commits_keep_what_was_overwritten_...
rollback                                               test_undoing: test_rollback
revert, its conflict, and of a merge                   test_undoing: test_revert, test_a_revert_in_conflict_...,
                                                       test_reverting_a_merge_needs_a_parent
N concurrent commits on a branch                       test_several_writers: test_concurrent_commits_lose_nothing
N branches merging disjoint paths all land             test_several_writers: test_concurrent_merges_of_different_...
same-path merge conflict names the path                test_merge: test_conflicts_name_the_paths_and_change_nothing
delete-vs-change conflict, same change none            test_merge: the same, test_the_same_change_on_both_sides_...
source-wins and dest-wins                              test_merge: test_strategies
repeated merge idempotent                              test_merge: test_repeating_a_merge_changes_nothing
merge into a dirty destination                         test_merge: test_a_dirty_destination_is_refused
source's staging excluded                              test_merge: test_what_is_staged_on_the_source_stays_there
two-dot and three-dot diff                             test_diff: test_two_dot_and_three_dot
lost response after commit and after merge             test_lost_answers
=====================================================  ==============================================================
"""
