"""The hello routes of Django."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def hello(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"Hello {number}")


async def hello_async(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"Hello {number}")


urlpatterns = [path("hello/<int:number>", hello), path("async/hello/<int:number>", hello_async)]
