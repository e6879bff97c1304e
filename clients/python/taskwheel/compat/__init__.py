"""The words of other systems, for programs that were written for them: each answers the very shape that those know.

    from taskwheel import compat

    agnost = compat.Agnost(client)                   # Altogic's client library, and both of Agnost's
    agnost.task.run_once("billOnDemand")             # {"info": {"taskId": …, "status": "pending"}, "errors": None}
    agnost.task("billOnDemand").run()                # {"trackingId": …, "cronJobName": "billOnDemand", …}

    exh = compat.ExtraHorizon(client)
    exh.tasks.create(function_name="testFunction", data={"my_key": "My Value"}, tags=["my_tag"])

    fliplet = compat.Fliplet(client)
    fliplet.app.tasks.run_with_result("email-is-registered", {"Email": "john@example.org"})

Arguments have Python's names; answers are dicts with the other system's names. Instants are text, in UTC and to the
millisecond, as in "2022-03-20T23:00:53.966Z". Unless it is told otherwise, a method raises what the client raises.
"""

from taskwheel.compat.agnost import Agnost
from taskwheel.compat.extra_horizon import ExtraHorizon
from taskwheel.compat.fliplet import Fliplet

__all__ = ["Agnost", "ExtraHorizon", "Fliplet"]
