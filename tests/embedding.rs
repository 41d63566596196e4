//! The crate in a platform that has storage and accounts of its own.

use crate::embed::story;

#[tokio::test]
async fn an_embedding_platform_runs_a_built_in_policy_and_one_of_its_own() {
    let told = story().await.expect("the example runs");
    let lines = [
        "retention: small stays; Denied by policy retention: minimum-age: the photo is 0 days old and \
         must be 30; 30 days missing.",
        "size-limit: large stays; Denied by policy size-limit: size: has 2097152 bytes, may have \
         1048576.",
        "size-limit: small is erased",
        "left: 1 row, 1 file, 3 decisions",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
}
