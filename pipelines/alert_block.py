"""Saves the Prefect block that alerts go to, and prints its id: `python -m pipelines.alert_block URL`.

URL is a webhook (`https://…`), which gets `{"text": …}` as Slack, Mattermost and Google Chat take it, or an address
that Apprise knows, such as `mailtos://user:password@example.com?to=billing@example.com` or `msteams://…`. The block
keeps it as Prefect keeps secrets.
"""

from __future__ import annotations

import argparse
from typing import Any

NAME = "csp-billing-alerts"


def save_block(url: str) -> str:
    """Save, or replace, the block that sends to this address; returns its id."""
    from prefect.blocks.notifications import AppriseNotificationBlock, CustomWebhookNotificationBlock

    block: Any
    if url.startswith(("http://", "https://")):
        text = {"text": "{{subject}}\n{{body}}"}
        webhook = {"name": NAME, "url": "{{url}}", "secrets": {"url": url}, "json_data": text}
        block = CustomWebhookNotificationBlock.model_validate(webhook)
    else:
        block = AppriseNotificationBlock.model_validate({"url": url})
    return str(block.save(NAME, overwrite=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Save the Prefect block that alerts go to, and print its id.")
    parser.add_argument("url", help="a webhook, or an address that Apprise knows")
    print(save_block(parser.parse_args().url))
