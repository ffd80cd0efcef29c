# Вход, своя учётная запись, учётные записи сотрудников.

sign-in = Войти
sign-in-title = Вход
sign-in-help = Нет учётной записи или забыт пароль? Администратор даст новую ссылку для входа.
sign-in-wrong = Неверное имя или пароль.
sign-in-wait = Слишком много неверных попыток. Подождите { $a } и попробуйте снова.
signed-out = Вы вышли.
sign-out = Выйти
login = Имя для входа
login-help = Латинские буквы a–z, цифры и . _ @ -
login-bad = В имени для входа от 1 до 64 знаков: латинские буквы a–z, цифры и . _ @ -
login-taken = Это имя для входа занято. Выберите другое.
shown-name = Имя, которое видят другие
shown-name-bad = В имени не больше 80 знаков, в одну строку.
password = Пароль
new-password = Новый пароль
current-password = Текущий пароль
your-password = Ваш пароль для подтверждения
password-again = То же ещё раз
password-help = Не меньше { $n } знаков. Короткую фразу легко запомнить.
password-differs = Пароли различаются. Введите новый пароль дважды.
password-wrong = Текущий пароль неверный.
password-short = Слишком короткий: нужно не меньше 12 знаков. Короткую фразу легко запомнить.
password-long = Слишком длинный: не больше 256 знаков.
password-common = Этот пароль подбирают одним из первых. Возьмите другой.
password-pattern = Здесь повтор или знаки по порядку. Возьмите другой.
password-about-you = Пароль состоит из вашего имени для входа или названия клиники. Возьмите другой.
set-password = Задать пароль
change-password = Сменить пароль

welcome-title = Добро пожаловать в Tapward
welcome-text = Эта ссылка действует один раз. Выберите имя и пароль первого администратора.
welcome-go = Создать запись и начать
new-password-title = Выберите пароль
new-password-text = Эта ссылка действует один раз. Потом вы войдёте здесь, а во всех других местах выйдете.
spent-title = Ссылка больше не действует
spent-text = Её уже использовали, или ей больше 24 часов. Попросите у администратора новую. При первом запуске перезапустите Tapward: он напечатает новую ссылку.

role = Роль

me-title = Моя учётная запись
me-sessions = Где я вошёл
me-sessions-text = Завершите то, чего не узнаёте, и смените пароль.
me-this = этот
me-opened = с { $a }
me-done-password = Новый пароль задан. Остальные сеансы завершены.
me-done-sessions = Завершено.
end-session = Завершить
end-others = Завершить остальные

accounts-title = Учётные записи
accounts-count = { $n ->
    [one] { $n } запись
    [few] { $n } записи
   *[many] { $n } записей
}
accounts-log = Что было недавно
accounts-last = Это последний администратор. Сначала назначьте другого.
accounts-confirm-wrong = Ваш пароль неверный. Ничего не изменено.
accounts-done-role = Роль изменена. Действует со следующего нажатия.
accounts-done-disable = Запись закрыта, все её сеансы завершены.
accounts-done-enable = Запись снова открыта.
accounts-done-end = Все её сеансы завершены.
account-open = открыта
account-closed = закрыта
account-invited = пароль не задан
account-signed-in = { $n ->
    [one] на связи
    [few] на связи, { $n } места
   *[many] на связи, { $n } мест
}
new-account = Новая запись
new-account-text = Вы получите ссылку для передачи. Пароль выберет тот, кто её откроет; вы его не увидите.
create-account = Создать и получить ссылку
link-title = Ссылка для { $a }
link-text = Передайте сейчас, она показана один раз. Действует один раз и 24 часа.
make-link = Ссылка для нового пароля
change = Изменить
change-role = Сменить роль
end-sessions = Завершить все сеансы
close-account = Закрыть запись
open-account = Открыть запись
last-sign-in = Последний вход
you = это вы
never = никогда
log-by = кем: { $a }
log-signed_in = Вход
log-sign_in_failed = Неудачный вход
log-session_ended = Сеанс завершён
log-sessions_ended = Все сеансы завершены
log-first_run = Создан первый администратор
log-password_set = Пароль задан по ссылке
log-password_changed = Пароль сменён
log-link_made = Создана ссылка для пароля
log-account_created = Создана запись
log-roles_changed = Сменена роль
log-account_disabled = Запись закрыта
log-account_enabled = Запись открыта
log-factor_changed = Второй фактор изменён
