"""The response check of ``example_asset_watcher.py``.

It runs in the triggerer, which does not look into the DAGs folder for modules: put it into the plugins folder, a
package, or a folder on PYTHONPATH.
"""

import asyncio

from airflow.sdk import Variable

SEEN = "example_watcher_seen"


async def has_new_items(response):
    """Whether the API has more items than at the last look.

    A watcher goes on polling after it has fired. A check that stays true (say, "are there items?") would start a DAG
    run at every poll: a check must become false by what it reports. So this one remembers what it has seen.
    """
    total = response.json()["total"]
    # In the triggerer's event loop, Variables are read and written in a thread.
    if total <= int(await asyncio.to_thread(Variable.get, SEEN, "0")):
        return False
    await asyncio.to_thread(Variable.set, SEEN, str(total))
    return True
