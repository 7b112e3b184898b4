"""What the generators of the matrix share."""


def text(items, indent="  "):
    quoted = [item if item.startswith(("[", "{", '"')) else f'"{item}"' for item in items]
    line = ", ".join(quoted)
    if len(line) < 110:
        return f"[{line}]"
    return "[\n" + "".join(f"{indent}{item},\n" for item in quoted) + "]"
