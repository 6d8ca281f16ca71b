"""The application: `python -m uvicorn demo_api.main:app`."""

import time
from typing import Annotated

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from .settings import settings_from_environment
from .store import NameTaken, Store, User
from .tokens import claims_of, mint

# Demo only: anybody can read these passwords in the README.
DEMO_USERS = [("alice", "correct horse", "user"), ("root", "battery staple", "admin")]

# Fields that a gateway adds; /me shows them so that one can see what a backend is told.
GATEWAY_FIELDS = (
    "via", "x-user-id", "x-user-role", "x-authenticated", "x-request-id", "traceparent",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
)

settings = settings_from_environment()
store = Store(settings.database)
for demo_user in DEMO_USERS:
    if store.user(demo_user[0]) is None:
        store.add_user(*demo_user)

app = FastAPI(title="Demo users API", docs_url=None, redoc_url=None)
bearer = HTTPBearer(auto_error=False)


class Credentials(BaseModel):
    username: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@-]+$")
    password: str = Field(min_length=1, max_length=256)


class NewUser(Credentials):
    password: str = Field(min_length=8, max_length=256)


class RefreshToken(BaseModel):
    refresh_token: str


class Session(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int


def unauthorized(detail: str) -> HTTPException:
    return HTTPException(status.HTTP_401_UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})


def caller(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> User:
    """The user of the token, who must still exist."""
    if credentials is None:
        raise unauthorized("A token is required")
    try:
        subject = claims_of(credentials.credentials, settings)["sub"]
    except jwt.InvalidTokenError as error:
        raise unauthorized("The token is invalid") from error
    user = store.user(str(subject))
    if user is None:
        raise unauthorized("The user does not exist")
    return user


def administrator(user: Annotated[User, Depends(caller)]) -> User:
    if user.role != "admin":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Only an administrator may do this")
    return user


def open_session(user: User) -> Session:
    return Session(
        access_token=mint(user, settings),
        refresh_token=store.issue_refresh_token(user, int(time.time()) + settings.refresh_seconds),
        expires_in=settings.access_seconds,
    )


api = APIRouter()


@api.post("/auth/register", status_code=status.HTTP_201_CREATED)
def register(new: NewUser) -> dict[str, str]:
    try:
        user = store.add_user(new.username, new.password)
    except NameTaken as error:
        raise HTTPException(status.HTTP_409_CONFLICT, "The name is taken") from error
    return {"username": user.name, "role": user.role}


@api.post("/auth/login")
def login(credentials: Credentials) -> Session:
    user = store.user_with_password(credentials.username, credentials.password)
    if user is None:
        raise unauthorized("Wrong user name or password")
    return open_session(user)


@api.post("/auth/refresh")
def refresh(body: RefreshToken) -> Session:
    user = store.take_refresh_token(body.refresh_token, int(time.time()))
    if user is None:
        raise unauthorized("The refresh token is invalid or spent")
    return open_session(user)


@api.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
def logout(user: Annotated[User, Depends(caller)]) -> None:
    """Ends every session's renewal; an access token lives on until it expires."""
    store.drop_refresh_tokens(user)


@api.get("/me")
def me(request: Request, user: Annotated[User, Depends(caller)]) -> dict[str, object]:
    """Who the token says you are, beside what the gateway told: every value of every field, as it came."""
    told = [(name, value) for name, value in request.headers.items() if name.replace("_", "-") in GATEWAY_FIELDS]
    return {"username": user.name, "role": user.role, "roles": user.roles, "gateway_fields": told}


@api.get("/admin/users")
def list_users(_: Annotated[User, Depends(administrator)]) -> list[dict[str, str]]:
    return [{"username": user.name, "role": user.role} for user in store.users()]


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "service": "demo-api"}


app.include_router(api)
app.include_router(api, prefix="/api/v1")
