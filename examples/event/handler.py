import platform


def handler(event):
    print("greeting", event["name"])
    return {"message": f"Hello, {event['name']}!", "python": platform.python_version()}
