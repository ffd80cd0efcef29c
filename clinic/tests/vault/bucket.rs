//! Photographs in a bucket, against an S3 server that we did not write.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use clinic::vault::blobs::S3Place;
use clinic::vault::{BlobError, BlobId, Blobs};
use zeroize::Zeroizing;

/// Serves until its standard input ends, with one bucket; says its port, and on request what another client sees.
const SERVER: &str = r#"
import sys, boto3
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-central-1",
                      aws_access_key_id="key", aws_secret_access_key="secret")
client.create_bucket(Bucket="clinic", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
print(port, flush=True)
for line in sys.stdin:
    found = client.list_objects_v2(Bucket="clinic").get("Contents", [])
    print(" ".join(f"{one['Key']}={one['Size']}" for one in found), flush=True)
server.stop()
"#;

struct Server {
    port: u16,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| PathBuf::from("../target/venv"), PathBuf::from);
        let python = venv.join("bin/python");
        let mut process = Command::new(&python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make prepare`", python.display()));
        let orders = process.stdin.take().unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the library moto is missing or does not start; run `make prepare`");
        Self { port, process, orders, answers }
    }

    fn sees(&mut self) -> String {
        use std::io::Write;
        self.orders.write_all(b"list\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn place(&self) -> S3Place {
        S3Place {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            bucket: "clinic".to_owned(),
            prefix: "photos".to_owned(),
            region: "eu-central-1".to_owned(),
            key_id: "key".to_owned(),
            secret: Zeroizing::new("secret".to_owned()),
            ca: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_bucket_keeps_gives_back_and_forgets_pictures() {
    let mut server = Server::start();
    let blobs = Blobs::s3(&server.place()).unwrap();
    let id = BlobId::new([0xAB; 16]);
    assert!(matches!(blobs.get(id).await, Err(BlobError::Missing)));
    let picture: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    blobs.put(id, picture.clone()).await.unwrap();
    assert_eq!(server.sees(), format!("photos/{id}=200000"), "another client sees it under its name");
    assert_eq!(blobs.get(id).await.unwrap(), picture);
    blobs.remove(id).await.unwrap();
    blobs.remove(id).await.unwrap();
    assert_eq!(server.sees(), "");
    let elsewhere = Blobs::s3(&S3Place { bucket: "nobodys".to_owned(), ..server.place() }).unwrap();
    let refused = elsewhere.put(id, picture).await.unwrap_err().to_string();
    assert!(refused.contains("404") && refused.contains("bucket's name"), "{refused}");
    assert!(!refused.contains("Signature"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_names_it() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = S3Place {
        endpoint: format!("http://127.0.0.1:{port}"),
        bucket: "clinic".to_owned(),
        prefix: String::new(),
        region: "x".to_owned(),
        key_id: "key".to_owned(),
        secret: Zeroizing::new("canary".to_owned()),
        ca: None,
    };
    assert!(!format!("{place:?}").contains("canary"));
    let error = Blobs::s3(&place).unwrap().get(BlobId::new([1; 16])).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
    let in_clear = S3Place { endpoint: "http://s3.example".to_owned(), ..place };
    assert!(Blobs::s3(&in_clear).unwrap_err().to_string().contains("https://"));
}
