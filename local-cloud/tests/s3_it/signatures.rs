//! Who may call.

use aws_sdk_s3::primitives::ByteStream;
use local_cloud::LocalCloud;

use crate::{BUCKET, bytes, client, cloud, refused};

#[tokio::test]
async fn a_known_key_id_with_another_secret_does_not_match() {
    let cloud = cloud().await;
    let s3 = client(&cloud.cloud, "test", "wrong");
    let put = s3.put_object().bucket(BUCKET).key("k").body(ByteStream::from(bytes(100_000))).send().await;
    assert_eq!(refused(put), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(refused(cloud.s3.head_object().bucket(BUCKET).key("k").send().await).0, 404);
}

#[tokio::test]
async fn an_unknown_key_id_is_let_in_unless_known_ones_are_required() {
    let open = cloud().await;
    client(&open.cloud, "whoever", "whatever").list_buckets().send().await.unwrap();
    let strict = LocalCloud::builder().credential("me", "mine").require_known_credentials().start().await.unwrap();
    client(&strict, "me", "mine").list_buckets().send().await.unwrap();
    let stranger = client(&strict, "whoever", "whatever").list_buckets().send().await;
    assert_eq!(refused(stranger), (403, "InvalidAccessKeyId".to_owned()));
}

#[tokio::test]
async fn a_tampered_chunk_of_a_body_is_refused() {
    // What the SDK signs is not what arrives: the body is changed on the way.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let cloud = cloud().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let target = cloud.cloud.address();
    let tampering = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = tokio::net::TcpStream::connect(target).await.unwrap();
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        let upstream = tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..read]).replace("innocent", "tampered");
                if to_server.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        upstream.abort();
    });
    let config = client(&cloud.cloud, "test", "test").config().to_builder().endpoint_url(format!("http://{proxy}"));
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    // A file is streamed in chunks that are each signed.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"innocent").unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    let put = s3.put_object().bucket(BUCKET).key("k").body(body).send().await;
    assert_eq!(refused(put), (403, "SignatureDoesNotMatch".to_owned()));
    tampering.abort();
}
