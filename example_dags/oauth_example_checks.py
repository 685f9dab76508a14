"""The response check of ``example_asset_watcher.py``.

It runs in the triggerer, which does not search the DAGs folder for modules. Put it into the plugins folder, a package,
or a folder on PYTHONPATH.
"""

from airflow.sdk import Variable
from asgiref.sync import sync_to_async

SEEN = "example_watcher_seen"


async def has_new_items(response):
    """Return whether the API has more items than at the last event.

    A watcher continues to poll after an event. If the check only tested whether there are items, every poll would
    start a DAG run. Therefore this check stores the number of items that it has seen.
    """
    total = response.json()["total"]
    # In the triggerer's event loop, Variables must be used in a thread; before Airflow 3.3, in a thread of asgiref.
    if total <= int(await sync_to_async(Variable.get)(SEEN, "0")):
        return False
    await sync_to_async(Variable.set)(SEEN, str(total))
    return True
