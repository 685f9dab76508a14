"""The S3 server of moto in a separate process, on a loopback port that the kernel chooses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from typing import Self

#: The server stops when its standard input is closed, so it never outlives the tests.
PROGRAM = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Upload:
    """An upload that was neither completed nor aborted."""

    key: str
    parts: int


class S3Server:
    """An S3 server. ``port`` is its own port, not that of a proxy in front of it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line.strip().isdigit(), "moto did not start"
        self.port = int(line)
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, s3={"addressing_style": "path"}),  # not those of the environment
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        self._process.communicate(timeout=10)

    def create_bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def content(self, bucket: str, key: str) -> bytes | None:
        """Return the content of an object; None if there is none."""
        try:
            content: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        return content

    def keys(self, bucket: str) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def uploads(self, bucket: str) -> list[Upload]:
        """Return the uploads that occupy storage."""
        found = self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [Upload(each["Key"], self._parts(bucket, each["Key"], each["UploadId"])) for each in found]

    def _parts(self, bucket: str, key: str, upload_id: str) -> int:
        return len(self.client.list_parts(Bucket=bucket, Key=key, UploadId=upload_id).get("Parts", []))
