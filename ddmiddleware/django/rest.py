"""Django REST framework: the exceptions that it answers itself.

https://www.django-rest-framework.org
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.django.routing import failed
from ddmiddleware.integrations import Integration

integration = Integration("django")


# They count if the answer is an error: an APIException is 500 unless it says otherwise.
@integration.observes("rest_framework.views:APIView.handle_exception")
def handled(view: Any, error: BaseException) -> None:
    failed(view.request, error)
