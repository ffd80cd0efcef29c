# Вход в другие системы по карте.

place-clients = Вход по карте
openid-title = Вход по карте
openid-to = Вход в систему
openid-wait-tap = Приложите карту к считывателю этого рабочего места.
openid-wait-fresh = Приложите карту ещё раз: система хочет убедиться, что это вы и сейчас.
openid-wait-other = На этом рабочем месте вошёл другой сотрудник. Приложите карту того, кто работает в этой системе.
openid-wait-unlock = Рабочее место заблокировано. Приложите карту к считывателю.
openid-wait-pin = Введите PIN-код.
openid-help = Карта, приложенная на другом рабочем месте, здесь не считается.
openid-pin = PIN-код
openid-pin-go = Продолжить
openid-pin-bad = В PIN-коде от 4 до 8 цифр.
openid-pin-wrong = { $n ->
    [0] Неверный PIN-код. Он заблокирован.
    [one] Неверный PIN-код. Осталась { $n } попытка.
    [few] Неверный PIN-код. Осталось { $n } попытки.
   *[other] Неверный PIN-код. Осталось { $n } попыток.
}
openid-pin-blocked = PIN-код заблокирован на { $a }.
openid-pin-none = У вас ещё нет PIN-кода. Его задаёт тот, кто управляет рабочими местами.
openid-pin-busy = Сейчас проверяется слишком много PIN-кодов. Повторите через мгновение.
openid-pin-not-right = PIN-код неверен или заблокирован.
openid-done = Вход выполнен.
openid-on = Продолжить
openid-enrol = Сделать этот браузер браузером рабочего места
openid-over-unknown = Система, которая вас сюда направила, не зарегистрирована или передала неверный адрес возврата. Сообщите администратору.
openid-over-not_here = Этот браузер не относится к рабочему месту, и считывателя у него нет. Войдите с рабочего места или зарегистрируйте этот браузер.
openid-over-spent = Этот вход завершён. Начните снова в системе, которая вас сюда направила.
openid-over-elsewhere = Этот вход относится к другому рабочему месту. Начните снова здесь.
openid-out-title = Вы вышли
openid-out-text = Вы вышли из той системы. Рабочее место остаётся за вами, пока вы не завершите работу или не приложите карту в другом месте.
openid-out-bad = Система попросила выйти так, что выполнить это нельзя. Для надёжности завершите работу на странице рабочего места.
openid-out-desk = На страницу рабочего места
openid-confirm-title = На подтверждение
openid-confirm-none = Ничего не ожидает подтверждения.
openid-confirm-until = До { $a }
openid-confirm-begin = Подтвердить картой
openid-confirm-refuse = Отказать
openid-confirm-tap = Приложите карту к считывателю.
openid-confirm-tap-pin = Приложите карту к считывателю и введите PIN-код.

openid-count = { $n ->
    [one] { $n } система
    [few] { $n } системы
   *[other] { $n } систем
}
openid-new = Зарегистрировать систему
openid-edit = Изменить
openid-end = Отключить
openid-save = Сохранить
openid-text = Системы, в которые специалисты входят, приложив карту. Их разработчикам нужен этот адрес:
openid-off = Вход не настроен: задайте address в разделе [identity] конфигурации.
openid-search = Название или client_id
openid-none-title = Ни одна система не зарегистрирована
openid-none-text = Зарегистрируйте МИС, затем введите в ней client_id и секрет.
openid-name = Название
openid-name-help = Его видит тот, кто входит.
openid-id-help = Буквы, цифры, - _ и . ; если не указать, будет создан.
openid-auth = Как она подтверждает себя
openid-algorithm = Подпись её id-токенов
openid-subject = Как она называет специалистов
openid-subject-login = имя пользователя в ней
openid-subject-practitioner = идентификатор врача
openid-subject-person = наш псевдоним
openid-strength = Не слабее чем
openid-strength-badge = карта
openid-strength-badge_pin = карта и PIN-код
openid-scopes = Что может запрашивать
openid-scopes-help = Через пробел, среди них openid. fhircast/*.read позволяет следить за открытой картой пациента.
openid-redirect = Адреса возврата
openid-redirect-help = По одному в строке, каждый сравнивается целиком.
openid-post-logout = Адреса после выхода в ней
openid-origins = Сайты её сценариев
openid-origins-help = Только для программ в браузере, которые обращаются не с сайта своего адреса возврата.
openid-logout-uri = Куда сообщать о конце сеанса
openid-logout-uri-help = Back-channel logout. Без него система остаётся открытой после ухода врача.
openid-ping-uri = Куда сообщать о подтверждениях
openid-ping-uri-help = CIBA ping. Пусто: система спрашивает сама каждые 5 секунд.
openid-start-uri = Её страница входа
openid-start-uri-help = Предлагается на странице рабочего места.
openid-fhir-user = Адрес врачей
openid-fhir-user-help = Например, https://mis.example/fhir/Practitioner/ ; идентификатор добавляется.
openid-access = Срок её токенов, минут
openid-access-help = В любом случае они кончаются вместе с сеансом на рабочем месте.
openid-jwks = Её открытые ключи
openid-jwks-help = Набор ключей JSON для private_key_jwt.
openid-assertions = Принимает подписанные подтверждения (системы без OpenID)
openid-renew = Создать новый секрет; прежний сразу перестанет действовать
openid-yes = да
openid-made = Зарегистрирована
openid-used = Последний вход
openid-made-title = Система зарегистрирована
openid-made-text = Скопируйте секрет сейчас: больше он не будет показан.
openid-configured = Эта система задана в конфигурации и изменяется там.
openid-taken = Система с таким client_id уже есть.
openid-state-works = работает
openid-state-configured = конфигурация
openid-state-ended = отключена
openid-done-saved = Сохранено.
openid-done-ended = Отключена: больше никто в неё не вошёл.
openid-bad-name = В названии от 1 до 80 знаков.
openid-bad-client_id = client_id: буквы, цифры, - _ и . , не более 64.
openid-bad-redirect_uris = Адреса возврата пишутся целиком: https, http на том же компьютере или собственная схема программы с точкой; не более 20, без шаблонов. Нужен хотя бы один, если система принимает не только подтверждения.
openid-bad-origins = Сайт пишется так, как его передаёт браузер: https://имя, без косой черты в конце.
openid-bad-logout_uri = Адреса, по которым обращаемся мы, начинаются с https.
openid-bad-scopes = Области: openid, а также profile, fhirUser, launch, fhircast/… .
openid-bad-access_ms = Токены живут от минуты до двенадцати часов.
openid-bad-algorithm = ES256 или RS256.
openid-bad-fhir_user = Адрес врачей начинается с https.
openid-bad-jwks = Открытые ключи: набор ключей JSON хотя бы с одним ключом ES256, ES384, RS256 или RS384.
openid-bad-ping_uri = Подтверждения — для систем, которые подтверждают себя.
