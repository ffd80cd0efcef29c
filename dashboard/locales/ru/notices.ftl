# Уведомления: страница и письма.

place-notices = Уведомления
notices-title = Уведомления по почте
notices-empty-title = Пока не о чем было сообщать
notices-empty-text = Здесь видно, о чём сообщили: учётные записи, вскрытие стекла, тревоги, и дошло ли письмо.
notices-bad-filter = Этот отбор не понять. Выберите из списков.
notices-test = Прислать мне пробное
notices-done-test = Пробное письмо отправляется на ваш адрес. Его судьба появится здесь.
notices-done-no_address = У вашей учётной записи нет подтверждённого адреса. Задайте его на странице «Моя учётная запись».
notice-to = Кому
notice-to-all = Всем, у кого есть право: { $a }
notice-to-nobody = Никому
notice-said = Сервер ответил: { $a }
notice-sent-at = Отправлено { $a }.
notice-tries = { $n ->
    [one] { $n } попытка.
    [few] { $n } попытки.
   *[many] { $n } попыток.
}
notice-next = Снова через { $a }.
notice-state-queued = ждёт
notice-state-sent = отправлено
notice-state-failed = повторяется
notice-state-gave_up = не отправлено
notice-reply-no_address = Ни у кого из адресатов нет подтверждённого адреса.
notice-reply-no_server = Почтовый сервер не настроен.
notice-reply-expired = Не удалось отправить за сутки.
notice-reply-away = Почтовый сервер не отвечает.
notice-reply-tls = Соединение не удалось защитить.
notice-reply-login = Почтовый сервер нас не впускает: проверьте имя и пароль.
notice-reply-later = Почтовый сервер отказал на время.
notice-reply-refused = Почтовый сервер отказал.
notice-reply-letter = Письмо не удалось составить.
notice-kind-registered = Новая учётная запись
notice-kind-password_changed = Пароль сменён
notice-kind-password_link = Ссылка для пароля
notice-kind-factor_changed = Второй фактор изменён
notice-kind-factor_guessed = Неверные коды
notice-kind-new_device = Новый браузер
notice-kind-roles_changed = Роли изменены
notice-kind-account_closed = Учётная запись закрыта
notice-kind-email_confirm = Подтверждение адреса
notice-kind-email_changed = Адрес сменён
notice-kind-break_glass = Вскрытие стекла
notice-kind-vault_locked = Хранилище закрыто
notice-kind-audit_alarm = Журнал аудита
notice-kind-api_key = Ключ HTTP API
notice-kind-critical_alarm = Тревога
notice-kind-irregular_overdue = Не проверено
notice-kind-test = Проба

notice-link-help = Ссылка действует один раз и 24 часа. Никто не попросит вас её сообщить.
notice-link-path = Откройте страницы Tapward и перейдите на { $a }
notice-foot = Tapward, { $site }, о вашей учётной записи { $login }. Ответы на этот адрес никто не читает.
notice-subject-registered = ваша учётная запись
notice-body-registered = Для вас создана учётная запись { $login }. Перейдите по ссылке и выберите пароль, который знаете только вы.
notice-subject-password_changed = ваш пароль сменён
notice-body-password_changed =
    Пароль вашей учётной записи сменён { $when } с компьютера { $address }.

    Это были не вы? Сразу скажите администратору.
notice-subject-password_link = ссылка для нового пароля
notice-body-password_link =
    Администратор сделал для вас эту ссылку. Перейдите по ней и выберите новый пароль.

    Вы об этом не просили? Не открывайте ссылку и скажите администратору.
notice-subject-factor_changed = ваш второй фактор
notice-body-factor_changed =
    { $what ->
        [set_up] Для вашей учётной записи { $when } настроен второй фактор.
        [removed] Второй фактор вашей учётной записи { $when } убран.
        [reset] Администратор { $when } сбросил второй фактор вашей учётной записи. Настройте его снова при следующем входе.
        [codes_drawn] { $when } получены новые коды восстановления. Старые больше не действуют.
        [recovery_used] { $when } для входа использован один из ваших кодов восстановления.
       *[other] Второй фактор вашей учётной записи { $when } изменён.
    }

    Это были не вы? Сразу скажите администратору.
notice-subject-factor_guessed = кто-то знает ваш пароль
notice-body-factor_guessed =
    Кто-то { $when } ввёл ваш верный пароль и несколько неверных кодов с компьютера { $address }.

    Это были не вы? Смените пароль прямо сейчас.
notice-subject-new_device = вход из нового браузера
notice-body-new_device =
    В вашу учётную запись вошли { $when } из браузера, в котором её раньше не было: { $agent }, компьютер { $address }.

    Это были не вы? Смените пароль, завершите тот сеанс на странице «Моя учётная запись» и скажите администратору.
notice-subject-roles_changed = ваши роли изменены
notice-body-roles_changed = Роли вашей учётной записи изменены { $when }. Войдите, чтобы увидеть, что вам теперь можно.
notice-subject-account_closed = ваша учётная запись закрыта
notice-body-account_closed = Ваша учётная запись закрыта { $when }. Если это ошибка, поговорите с администратором.
notice-subject-email_confirm = подтвердите адрес
notice-body-email_confirm = Кто-то, вероятно вы, хочет получать на этот адрес уведомления об учётной записи { $login }. Перейдите по ссылке, чтобы подтвердить. Иначе ничего не делайте.
notice-subject-email_changed = уведомления идут в другое место
notice-body-email_changed =
    Уведомления о вашей учётной записи больше не приходят на этот адрес, с { $when }.

    Это были не вы? Сразу скажите администратору.
notice-subject-break_glass = кто-то вскрыл стекло
notice-body-break_glass = { $login } вскрыл стекло { $when } и { $minutes } минут видит больше, чем позволяет роль. Причина видна на странице проверок. Проверьте, пожалуйста.
notice-subject-vault_locked = хранилище закрыто
notice-body-vault_locked = Хранилище личных данных закрыто с { $when }: имена и фотографии не показываются. Двери работают. Откройте его на странице хранилища.
notice-subject-audit_alarm = журнал аудита требует внимания
notice-body-audit_alarm = Журнал аудита не совпадает с опубликованным или не публикуется с { $when }. Что и где, видно на его странице.
notice-subject-api_key = ключ HTTP API
notice-body-api_key = Ключ { $name } для HTTP API создан или скоро истекает, { $when }. Смотрите страницу ключей.
notice-subject-critical_alarm = тревога
notice-body-critical_alarm = { $reason }, { $point }, { $when }. Смотрите страницу наблюдения.
notice-subject-irregular_overdue = работа без карты ждёт проверки
notice-body-irregular_overdue = Ещё { $new } случаев работы без карты не проверены в срок, { $when }; всего ждут слишком долго: { $waiting }. Проверьте их, пожалуйста, на странице работы без карты.
notice-subject-test = почта работает
notice-body-test = Это пробное письмо, о котором вы просили { $when }. Почта от Tapward до вас доходит.
