"""A source of Airbyte's low-code CDK, which writes Airbyte messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from benchmarks.peers.worker import Job, serve

SCHEMA = {"type": "object", "additionalProperties": True, "properties": {}}
CATALOG = {
    "streams": [
        {
            "stream": {"name": "items", "json_schema": SCHEMA, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}


def manifest(url: str) -> dict[str, Any]:
    """Return the description of the API."""
    return {
        "version": "7.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["items"]},
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "items",
                "primary_key": ["id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": url,
                        "path": "/items",
                        "http_method": "GET",
                        "authenticator": {"type": "BearerAuthenticator", "api_token": "fake-access-token"},
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                    },
                    "paginator": {
                        "type": "DefaultPaginator",
                        "page_token_option": {
                            "type": "RequestOption",
                            "inject_into": "request_parameter",
                            "field_name": "page",
                        },
                        "pagination_strategy": {
                            "type": "CursorPagination",
                            "cursor_value": "{{ response['page'] + 1 }}",
                            "stop_condition": "{{ response['page'] >= response['pages'] }}",
                        },
                    },
                },
            }
        ],
    }


def pull(job: Job) -> None:
    path = Path(job.path)
    config, catalog = path.with_suffix(".config"), path.with_suffix(".catalog")
    config.write_text("{}")
    catalog.write_text(json.dumps(CATALOG))
    source = ConcurrentDeclarativeSource(
        catalog=ConfiguredAirbyteCatalogSerializer.load(CATALOG), config={}, source_config=manifest(job.url)
    )
    arguments = AirbyteEntrypoint.parse_args(["read", "--config", str(config), "--catalog", str(catalog)])
    with path.open("w") as file:
        for message in AirbyteEntrypoint(source).run(arguments):
            file.write(f"{message}\n")


if __name__ == "__main__":
    serve(pull)
