from typing_extensions import disjoint_base

@disjoint_base
class Owner: ...

@disjoint_base
class Operation: ...
