//! Writes that take place only if nobody else wrote.

use aws_sdk_s3::primitives::ByteStream;

use crate::{BUCKET, cloud, refused};

#[tokio::test]
async fn a_put_with_a_stale_etag_is_refused_and_changes_nothing() {
    let cloud = cloud().await;
    let first = cloud.put("k", b"1").await;
    cloud.put("k", b"2").await;
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").if_match(first).body(ByteStream::from_static(b"3"));
    assert_eq!(refused(put.send().await), (412, "PreconditionFailed".to_owned()));
    assert_eq!(cloud.get("k").await, b"2");
}

#[tokio::test]
async fn a_put_that_expects_an_object_which_is_gone_finds_no_key() {
    let cloud = cloud().await;
    let etag = cloud.put("k", b"1").await;
    cloud.s3.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").if_match(etag).body(ByteStream::from_static(b"2"));
    assert_eq!(refused(put.send().await), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn both_conditions_together_are_not_implemented() {
    let cloud = cloud().await;
    let put = cloud.s3.put_object().bucket(BUCKET).key("k").if_match("\"a\"").if_none_match("*").send().await;
    assert_eq!(refused(put), (501, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn a_delete_with_a_stale_etag_is_refused() {
    let cloud = cloud().await;
    let etag = cloud.put("k", b"1").await;
    let delete = cloud.s3.delete_object().bucket(BUCKET).key("k");
    let stale = delete.clone().if_match("\"stale\"").send().await;
    assert_eq!(refused(stale), (412, "PreconditionFailed".to_owned()));
    delete.if_match(etag).send().await.unwrap();
}

#[tokio::test]
async fn of_many_writers_that_create_one_key_exactly_one_succeeds() {
    let cloud = cloud().await;
    let writers = (0..32).map(|n: i32| {
        let put = cloud.s3.put_object().bucket(BUCKET).key("k").if_none_match("*");
        put.body(ByteStream::from(n.to_string().into_bytes())).send()
    });
    let results = futures::future::join_all(writers).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn counting_by_compare_and_swap_loses_no_increment() {
    let cloud = cloud().await;
    cloud.put("n", b"0").await;
    let writers = (0..8).map(|_| async {
        loop {
            let got = cloud.s3.get_object().bucket(BUCKET).key("n").send().await.unwrap();
            let etag = got.e_tag().unwrap().to_owned();
            let number: u32 = String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap().parse().unwrap();
            let next = ByteStream::from((number + 1).to_string().into_bytes());
            match cloud.s3.put_object().bucket(BUCKET).key("n").if_match(etag).body(next).send().await {
                Ok(_) => return,
                lost => assert!(matches!(refused(lost).0, 409 | 412)),
            }
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(cloud.get("n").await, b"8");
}
