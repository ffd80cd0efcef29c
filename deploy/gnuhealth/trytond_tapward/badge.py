"""Sign-in by badge.

A doctor's tap becomes an assertion: a JSON Web Token of at most 30 seconds, signed by Tapward, for one login, usable
once. It is given to `common.db.login` as the parameter `tapward` instead of a password. Passwords go on working: the
configuration lists the methods, `authentications = tapward,password`.

    [tapward]
    jwks = https://tapward.clinic.example/openid/jwks      (or the path of a file)
    ca = /etc/tapward/ca.pem                               (if the server's certificate is not a public one)
    issuer = https://tapward.clinic.example
    audience = gnuhealth

Whatever is wrong with an assertion, the sign-in fails like one with a wrong password; the reason is in the log, the
assertion is not.
"""

import datetime
import json
import logging
import ssl

import jwt
from sql import Table
from sql.functions import CurrentTimestamp
from trytond import backend
from trytond.config import config
from trytond.model import Index, ModelSQL, Unique, fields
from trytond.pool import Pool, PoolMeta
from trytond.transaction import Transaction

__all__ = ['UsedAssertion', 'User']

logger = logging.getLogger(__name__)

# Longest life of an assertion, and how far the two clocks may be apart, in seconds.
LIFE_MAX = 30
SKEW_MAX = 5
# No assertion of ours comes near it.
TOKEN_MAX = 4096

_jwks_clients = {}


class Refused(Exception):
    "The assertion signs nobody in; says why, for the log."


def signing_key(token):
    "The public key by which the token says that it is signed."
    source = config.get('tapward', 'jwks')
    if not source:
        raise Refused('[tapward] jwks is not configured')
    if source.startswith('https://'):
        client = _jwks_clients.get(source)
        if client is None:
            context = ssl.create_default_context(
                cafile=config.get('tapward', 'ca') or None)
            client = jwt.PyJWKClient(
                source, cache_jwk_set=True, lifespan=300, timeout=3,
                ssl_context=context)
            _jwks_clients[source] = client
        return client.get_signing_key_from_jwt(token).key
    with open(source) as file:
        keys = jwt.PyJWKSet.from_dict(json.load(file))
    kid = jwt.get_unverified_header(token).get('kid')
    for key in keys.keys:
        if key.key_id == kid:
            return key.key
    raise Refused('no key of this id')


def read_assertion(token, login):
    "The claims of an assertion for this login, its signature and times checked."
    if not isinstance(token, str) or len(token) > TOKEN_MAX:
        raise Refused('not a token')
    try:
        claims = jwt.decode(
            token, signing_key(token), algorithms=['ES256'],
            issuer=config.get('tapward', 'issuer'),
            audience=config.get('tapward', 'audience', default='gnuhealth'),
            leeway=SKEW_MAX,
            options={'require': ['iss', 'aud', 'sub', 'iat', 'exp', 'jti']})
    except (jwt.PyJWTError, OSError, ValueError) as error:
        raise Refused(type(error).__name__)
    if claims['exp'] - claims['iat'] > LIFE_MAX:
        raise Refused('lives too long')
    if claims['sub'] != login:
        raise Refused('for somebody else')
    if not isinstance(claims['jti'], str) or not 16 <= len(claims['jti']) <= 64:
        raise Refused('no usable id')
    return claims


class UsedAssertion(ModelSQL):
    "Assertion that has signed somebody in"
    __name__ = 'tapward.assertion'

    jti = fields.Char("Id", required=True)
    expires = fields.Timestamp("Expires", required=True)

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints = [
            ('jti_unique', Unique(table, table.jti), 'tapward.msg_used')]
        cls._sql_indexes.add(Index(table, (table.expires, Index.Range())))

    @classmethod
    def use(cls, jti, expires):
        """Notes the use in a transaction of its own; False if it was used before. The table's uniqueness decides, so two
        servers at the same moment agree."""
        table = Table('tapward_assertion')
        with Transaction().new_transaction() as transaction:
            cursor = transaction.connection.cursor()
            try:
                cursor.execute(*table.delete(
                    where=table.expires < CurrentTimestamp()))
                cursor.execute(*table.insert(
                    [table.jti, table.expires], [[jti, expires]]))
                transaction.commit()
            except backend.DatabaseIntegrityError:
                transaction.rollback()
                return False
        return True


class User(metaclass=PoolMeta):
    __name__ = 'res.user'

    @classmethod
    def _login_tapward(cls, login, parameters):
        token = parameters.get('tapward')
        if token is None:
            return None
        try:
            claims = read_assertion(token, login)
            user_id = cls._get_login(login)[0]
            if not user_id:
                raise Refused('no such user')
            # Kept a little longer than it lives, so that the clocks' difference opens no gap.
            until = datetime.datetime.utcfromtimestamp(
                claims['exp'] + 2 * SKEW_MAX)
            if not Pool().get('tapward.assertion').use(claims['jti'], until):
                raise Refused('used before')
        except Refused as why:
            logger.error('badge sign-in refused: %s', why)
            return None
        return user_id
