"""The response check of ``example_asset_watcher.py``.

It runs in the triggerer, which does not look into the DAGs folder for modules: put it into the plugins folder, a
package, or a folder on PYTHONPATH.
"""

from airflow.sdk import Variable
from asgiref.sync import sync_to_async

SEEN = "example_watcher_seen"


async def has_new_items(response):
    """Whether the API has more items than at the last look.

    A watcher goes on polling after it has fired. A check that stays true (say, "are there items?") would start a DAG
    run at every poll: a check must become false by what it reports. So this one remembers what it has seen.
    """
    total = response.json()["total"]
    # In the triggerer's event loop, Variables are read and written in a thread; before Airflow 3.3 in asgiref's only.
    if total <= int(await sync_to_async(Variable.get)(SEEN, "0")):
        return False
    await sync_to_async(Variable.set)(SEEN, str(total))
    return True
